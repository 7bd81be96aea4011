"""
The client's contract, in the style of asyncio.
"""

from tests.contract import client, client_tracker
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
