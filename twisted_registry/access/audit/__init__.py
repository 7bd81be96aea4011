"""
The audit log: its file, its chain, and its check.
"""
