"""
Calls: the connection, retries, and the errors that statuses stand for.
"""
