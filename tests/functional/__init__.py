"""
Tests of the daemon, the command and the client, each as a child process where the process is the subject.
"""
