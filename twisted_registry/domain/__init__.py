"""
Values and rules, without a library that does input or output.
"""
