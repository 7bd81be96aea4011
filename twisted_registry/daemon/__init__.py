"""
The daemon: the wiring of all parts, and the process around them.
"""
