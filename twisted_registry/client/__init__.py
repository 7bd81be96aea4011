"""
The client library: a client in three faces, with the same methods.

``Client`` is for asyncio, ``BlockingClient`` for programs without an event loop, and ``DeferredClient`` for Twisted.
Their errors are in ``twisted_registry.client.errors``.

A name is imported when it is first used.  So Twisted is loaded by the face for Twisted only, and gRPC by a client's
first call.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from twisted_registry.client._transport import forks  # noqa: F401 - it sets variables that gRPC reads when imported

if TYPE_CHECKING:
    from twisted_registry.client._blocking import BlockingItems
    from twisted_registry.client._deferred import DeferredIterator
    from twisted_registry.client._iterators import Items
    from twisted_registry.client._server_types import CallerInfo, Follower, MetricSeries, MetricSummary, ServerStatus
    from twisted_registry.client._tracking.tracker import Tracker
    from twisted_registry.client._transport.addresses import DEFAULT_ADDRESS
    from twisted_registry.client._transport.options import Tls
    from twisted_registry.client._transport.saved_tokens import SavedToken
    from twisted_registry.client._transport.tokens import TokenFile
    from twisted_registry.client._types import (
        AnyReference,
        Data,
        Event,
        Pruned,
        PrunedModel,
        RemovedVersion,
        Retention,
        SkippedModel,
        UploadState,
        Version,
    )
    from twisted_registry.client.aio import Client
    from twisted_registry.client.blocking import BlockingClient, BlockingTracker
    from twisted_registry.client.deferred import DeferredClient, DeferredTracker
    from twisted_registry.domain.aliases import AliasMove
    from twisted_registry.domain.models import ModelInfo, VersionInfo
    from twisted_registry.domain.records import ModelRecord, VersionRecord
    from twisted_registry.domain.references import Reference
    from twisted_registry.domain.retention import KeepBest, RetentionPolicy

__all__ = [
    "DEFAULT_ADDRESS",
    "AliasMove",
    "AnyReference",
    "BlockingClient",
    "BlockingItems",
    "BlockingTracker",
    "CallerInfo",
    "Client",
    "Data",
    "DeferredClient",
    "DeferredIterator",
    "DeferredTracker",
    "Event",
    "Follower",
    "Items",
    "KeepBest",
    "MetricSeries",
    "MetricSummary",
    "ModelInfo",
    "ModelRecord",
    "Pruned",
    "PrunedModel",
    "Reference",
    "RemovedVersion",
    "Retention",
    "RetentionPolicy",
    "SavedToken",
    "ServerStatus",
    "SkippedModel",
    "Tls",
    "TokenFile",
    "Tracker",
    "UploadState",
    "Version",
    "VersionInfo",
    "VersionRecord",
]

_MODULES = {
    "DEFAULT_ADDRESS": "client._transport.addresses",
    "AliasMove": "domain.aliases",
    "AnyReference": "client._types",
    "BlockingClient": "client.blocking",
    "BlockingItems": "client._blocking",
    "BlockingTracker": "client.blocking",
    "CallerInfo": "client._server_types",
    "Client": "client.aio",
    "Data": "client._types",
    "DeferredClient": "client.deferred",
    "DeferredIterator": "client._deferred",
    "DeferredTracker": "client.deferred",
    "Event": "client._types",
    "Follower": "client._server_types",
    "Items": "client._iterators",
    "KeepBest": "domain.retention",
    "MetricSeries": "client._server_types",
    "MetricSummary": "client._server_types",
    "ModelInfo": "domain.models",
    "ModelRecord": "domain.records",
    "Pruned": "client._types",
    "PrunedModel": "client._types",
    "Reference": "domain.references",
    "RemovedVersion": "client._types",
    "Retention": "client._types",
    "RetentionPolicy": "domain.retention",
    "SavedToken": "client._transport.saved_tokens",
    "ServerStatus": "client._server_types",
    "SkippedModel": "client._types",
    "Tls": "client._transport.options",
    "TokenFile": "client._transport.tokens",
    "Tracker": "client._tracking.tracker",
    "UploadState": "client._types",
    "Version": "client._types",
    "VersionInfo": "domain.models",
    "VersionRecord": "domain.records",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f"twisted_registry.{_MODULES[name]}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "twisted":
            raise
        # twisted-registry-client does not install it.
        raise ImportError(f"{name} needs Twisted: pip install 'twisted-registry-client[twisted]'") from error
    value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
