"""
The calls of ``twisted_registry.v1.Registry``.
"""
