"""
The contracts between the rooms, a file for each reader.
"""
