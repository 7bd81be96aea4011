"""
What tests share.
"""
