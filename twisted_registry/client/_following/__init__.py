"""
Following a model.
"""
