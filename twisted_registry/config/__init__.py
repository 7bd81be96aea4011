"""
Configuration: a class for each section of settings, and how their values are read.

A setting is a field of a section's class.  Its flag, its environment variable, its key in the configuration file, its
line in ``--help`` and its row in docs/reference/configuration.md are made from that field.
"""
