"""
What is measured, a subject a file.
"""
