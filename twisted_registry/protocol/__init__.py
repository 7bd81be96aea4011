"""
The wire API, as both ends know it: messages, frames of data, and what an error tells beside its code.
"""
