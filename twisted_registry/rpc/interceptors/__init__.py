"""
What every call passes on its way to its handler.  ``twisted_registry.rpc.chain`` puts these in their order.
"""
