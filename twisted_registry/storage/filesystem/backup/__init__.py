"""
Copies of an archive: backups of a running one, and their restore.
"""
