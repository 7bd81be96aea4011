"""
The use cases of the registry, without a protocol: they await the ports of ``contracts/application.py`` alone, so that
each edge can call them.
"""
