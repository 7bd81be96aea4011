"""
Contracts between the packages, one file for each reader.
"""
