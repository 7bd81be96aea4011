"""
The daemon: the only wiring.
"""
