"""
Tests of the gRPC edge, inside the process of the tests: no daemon is started.
"""
