"""
What callers may be told: the registry as it must look from outside.
"""
