"""
The web edge: HTTP for metrics and probes.
"""
