"""
The archive on a file system.
"""
