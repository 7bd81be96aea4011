"""
The command line: C{twisted-registry}.
"""
