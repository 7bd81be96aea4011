"""
The interceptors that every call passes on its way to its handler. ``twisted_registry.rpc.chain`` has their order.
"""
