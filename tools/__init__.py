"""
Checks and generators that belong to this repository and are not installed.
"""
