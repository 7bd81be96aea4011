"""
Tests of the gRPC edge inside the process of the tests, without a daemon.
"""
