"""
Verification of an archive on a file system, and quarantine of what is corrupt.
"""
