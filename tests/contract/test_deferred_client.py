"""
The client's contract, in the style of Twisted.
"""

from tests.contract import client, client_tracker
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
