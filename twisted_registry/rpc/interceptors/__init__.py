"""
The interceptors that every call passes before its handler. ``twisted_registry.rpc.chain`` has their order.
"""
