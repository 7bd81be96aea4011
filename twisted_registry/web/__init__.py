"""
The web edge: HTTP for calls in JSON, events, data, metrics, probes and the page.
"""
