"""
The suites of the benchmark, one subject per file.
"""
