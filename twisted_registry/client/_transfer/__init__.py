"""
Versions' data, on its way out and in.
"""
