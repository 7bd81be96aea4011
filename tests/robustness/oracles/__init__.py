"""
The oracles: the registry as it must look from outside.
"""
