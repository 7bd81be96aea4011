"""
The shared parts of the tests.
"""
