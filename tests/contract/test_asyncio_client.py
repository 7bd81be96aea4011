"""
The client's contract, in the style of asyncio.
"""

from tests.contract import client, client_alias_tracker, client_lifecycle, client_tracker
from tests.support.styles import AsyncioStyle


class AsyncioClientTests(client.ClientContract):
    """
    The suite, on ``AsyncioStyle``.
    """

    style = AsyncioStyle


class AsyncioTrackerTests(client_tracker.TrackerContract):
    """
    The suite for following a model, on ``AsyncioStyle``.
    """

    style = AsyncioStyle


class AsyncioLifecycleTests(client_lifecycle.LifecycleContract):
    """
    The suite for what happens to versions after their creation, on ``AsyncioStyle``.
    """

    style = AsyncioStyle


class AsyncioAliasTrackerTests(client_alias_tracker.AliasTrackerContract):
    """
    The suite for following an alias, on ``AsyncioStyle``.
    """

    style = AsyncioStyle
