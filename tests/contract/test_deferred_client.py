"""
The client's contract, in the style of Twisted.
"""

from tests.contract import client, client_alias_tracker, client_lifecycle, client_tracker
from tests.support.styles import DeferredStyle


class DeferredClientTests(client.ClientContract):
    """
    The suite, on ``DeferredStyle``.
    """

    style = DeferredStyle


class DeferredTrackerTests(client_tracker.TrackerContract):
    """
    The suite for following a model, on ``DeferredStyle``.
    """

    style = DeferredStyle


class DeferredLifecycleTests(client_lifecycle.LifecycleContract):
    """
    The suite for what happens to versions after their creation, on ``DeferredStyle``.
    """

    style = DeferredStyle


class DeferredAliasTrackerTests(client_alias_tracker.AliasTrackerContract):
    """
    The suite for following an alias, on ``DeferredStyle``.
    """

    style = DeferredStyle
