"""
Tests of the daemon: a real twistd as a child process, over real channels.
"""
