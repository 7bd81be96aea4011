"""
Disks that forget and fail, what is done on them, and what must then be there.
"""
