"""
The policy: what callers may do, and how much.
"""
