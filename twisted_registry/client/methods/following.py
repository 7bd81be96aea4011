"""
Methods of the client that follow models, aliases and events.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, overload

from twisted_registry.client._types import Event, Version
from twisted_registry.client.methods.base import MethodsBase
from twisted_registry.domain.models import VersionInfo

if TYPE_CHECKING:
    from twisted_registry.client._iterators import Items
    from twisted_registry.client._tracking.tracker import Tracker


class FollowingMethods(MethodsBase):
    """
    The methods of a client that follow models, aliases and events.
    """

    @overload
    def track(self, model_id: str, *, data: Literal[False] = False, wait: bool = False) -> "Tracker[VersionInfo]": ...

    @overload
    def track(self, model_id: str, *, data: Literal[True], wait: bool = False) -> "Tracker[Version]": ...

    @overload
    def track(self, model_id: str, *, data: bool, wait: bool = False) -> "Tracker[Any]": ...

    def track(self, model_id: str, *, data: bool = False, wait: bool = False) -> "Tracker[Any]":
        """
        Follow a model, or an alias such as ``walker@production``::

            async with client.track("walker", data=True) as tracker:
                async for version in tracker:
                    policy.load(version.data)

        The tracker survives restarts of the server.  While the server is away, it retries without a time limit.

        Args:
            model_id: the model, or a reference to an alias.  An ``@`` of a model's id is written ``%40``.
            data: whether to retrieve each version's data: the tracker then yields a ``Version``, otherwise a
                ``VersionInfo``.
            wait: whether to wait at the start for a model or alias that does not exist yet, and for a server that is
                away.

        Returns:
            The tracker, not started yet: an iterator and a context manager.

        Raises:
            InvalidRequest: the reference names a single version, or is malformed.
            InvalidModelId: the reference names a model that cannot exist.
            UnknownModel: the model does not exist or was deleted.  This and the following errors are raised by the
                tracker.
            UnknownAlias: the alias does not exist or was deleted.
            ModelReplaced: the model was deleted and created again.
            CorruptVersion: the version to follow is damaged.
            Unavailable: the server is away at the start, and ``wait`` is false.
            Unsupported: the server has no aliases.
        """
        return self._session.track(model_id, data, wait)

    def events(
        self, model_id: str = "", *, prefix: str = "", kinds: Iterable[str] = (), cursor: str = ""
    ) -> "Items[Event]":
        """
        Follow what happens in the registry::

            async for event in client.events(kinds=["alias_moved"]):
                print(event.kind, event.model_id, event.move)

        The first event is ``started``: all events from then on, or after the cursor, will follow.  If the connection is
        lost, the iterator waits for the server without a time limit, and goes on after the last event.  That is not
        possible after a restart of the server, or if more than 10,000 events were missed: then the iterator raises
        ``CursorExpired``.  Read again what you need to know, and follow without a cursor.

        Args:
            model_id: one model; empty for all.
            prefix: the beginning of the models' ids; empty for all.
            kinds: the kinds of events, such as ``version_created`` or ``alias_moved``; empty for all.
            cursor: the cursor of the last event that was received; empty to begin now.

        Returns:
            An iterator over the events, which does not end by itself.

        Raises:
            CursorExpired: events after the cursor are no longer kept.  This and the other errors are raised during the
                iteration.
            InvalidRequest: there is no such kind of event, the cursor is not one, or both a model and a prefix are
                given.
            Unavailable: the server was away for longer than ``retry_seconds`` at the start.
            Unsupported: the server does not have this call.
        """
        return self._session.events(model_id, prefix, kinds, cursor)
