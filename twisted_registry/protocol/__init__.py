"""
The wire API, shared by both ends: messages, frames of data, metadata, and the map of errors.
"""
