"""
Fuzzers of everything that parses bytes: one module each, with a function ``test_one_input`` that raises an error if
something is wrong, and ``SEEDS`` to begin with.

``python -m tests.robustness.fuzzers NAME`` runs one under Atheris, which searches for inputs that reach new code.
"""

NAMES = (
    "body_data",
    "credentials",
    "handles",
    "headers",
    "layout",
    "policies",
    "reserved",
    "timestamps",
    "token_files",
    "yaml_reader",
)
"""The modules."""
