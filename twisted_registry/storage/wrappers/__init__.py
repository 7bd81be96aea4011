"""
Archives around archives: each passes every call to another one and adds a single behaviour.
"""
