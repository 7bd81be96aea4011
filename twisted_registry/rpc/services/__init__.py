"""
The services of the gRPC edge.
"""
