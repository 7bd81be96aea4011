"""
The client library: one client in three styles.

``Client`` is for asyncio, ``BlockingClient`` for programs without an event loop, ``DeferredClient`` for Twisted.  They
have the same methods.  Errors are those of ``twisted_registry.domain.errors``.
"""

from twisted_registry.client._transport import environment  # noqa: F401 - it must come before gRPC is imported

# isort: split
from twisted_registry.client._iterators import Items
from twisted_registry.client._tracking.tracker import Tracker, Version
from twisted_registry.client._transfer.sources import Data
from twisted_registry.client._transport.addresses import DEFAULT_ADDRESS
from twisted_registry.client._transport.connection import Tls
from twisted_registry.client.aio import Client
from twisted_registry.client.blocking import BlockingClient, BlockingItems, BlockingTracker
from twisted_registry.client.deferred import DeferredClient, DeferredIterator, DeferredTracker
from twisted_registry.domain.models import ModelInfo, VersionInfo

__all__ = [
    "DEFAULT_ADDRESS",
    "BlockingClient",
    "BlockingItems",
    "BlockingTracker",
    "Client",
    "Data",
    "DeferredClient",
    "DeferredIterator",
    "DeferredTracker",
    "Items",
    "ModelInfo",
    "Tls",
    "Tracker",
    "Version",
    "VersionInfo",
]
