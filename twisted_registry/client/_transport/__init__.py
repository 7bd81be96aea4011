"""
Calls: over which connection, what is tried again, and what their errors mean.
"""
