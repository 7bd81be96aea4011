"""
How fast the registry is, beside the fastest server that can be made of the same parts: ``make benchmark``.
"""
