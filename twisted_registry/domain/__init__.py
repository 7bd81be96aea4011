"""
Values and rules, free of input and output.
"""
