"""
Daemons that are killed, and callers of all kinds.
"""
