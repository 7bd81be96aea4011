"""
The unit tests.
"""

from hypothesis import settings

# A slow machine is not a failure.  The tests that set this for themselves also have other settings.
settings.register_profile("unhurried", settings.default, deadline=None)
settings.load_profile("unhurried")
