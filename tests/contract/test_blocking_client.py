"""
The client's contract, in the style of programs without an event loop.
"""

from tests.contract import client, client_alias_tracker, client_lifecycle, client_tracker
from tests.support.styles import BlockingStyle


class BlockingClientTests(client.ClientContract):
    """
    The suite, on ``BlockingStyle``.
    """

    style = BlockingStyle


class BlockingTrackerTests(client_tracker.TrackerContract):
    """
    The suite for following a model, on ``BlockingStyle``.
    """

    style = BlockingStyle


class BlockingLifecycleTests(client_lifecycle.LifecycleContract):
    """
    The suite for what happens to versions after their creation, on ``BlockingStyle``.
    """

    style = BlockingStyle


class BlockingAliasTrackerTests(client_alias_tracker.AliasTrackerContract):
    """
    The suite for following an alias, on ``BlockingStyle``.
    """

    style = BlockingStyle
