"""
The registry's own tokens.
"""
