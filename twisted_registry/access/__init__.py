"""
Access control: who makes a call, and what they may do.
"""
