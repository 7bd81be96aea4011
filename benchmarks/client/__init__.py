"""
The load: a client of bare HTTP/2 frames, and what it does with it.
"""
