"""
Metrics of a running registry.
"""
