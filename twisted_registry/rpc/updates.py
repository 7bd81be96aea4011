"""
The call that pushes new versions to their users.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from attrs import field, frozen

from twisted_registry.contracts.registry import IRegistry
from twisted_registry.domain.errors import CorruptVersion, Unavailable, UnknownModel
from twisted_registry.domain.events import ModelDeleted, VersionCommitted
from twisted_registry.domain.models import VersionInfo
from twisted_registry.domain.snapshot import ModelSnapshot
from twisted_registry.protocol.messages import api
from twisted_registry.rpc.archive import note_seen
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.lookup import Lookup
from twisted_registry.rpc.outgoing import Outgoing
from twisted_registry.rpc.wire import parse, version_message


class Hub:
    """
    Wakes the streams of a model when it changes.

    Nothing waits in here for a slow stream: whoever wakes up looks for the newest version.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._streams: dict[str, set[asyncio.Event]] = {}
        self._stopping = False

    def __len__(self) -> int:
        return sum(len(streams) for streams in self._streams.values())

    def follow(self, registry: IRegistry) -> None:
        """
        Wake the subscribers of a model after each event of a registry that they have to know of.
        """
        registry.subscribe(self.notify, VersionCommitted, ModelDeleted)

    def notify(self, event: VersionCommitted | ModelDeleted) -> None:
        """
        Wake the subscribers of an event's model.  Called in the reactor's thread.
        """
        model_id = event.model_id
        # Who is not in yet sees the change by itself, for it looks only once it is in.
        if model_id in self._streams:
            with suppress(RuntimeError):  # the loop is closed, and the streams with it
                self._loop.call_soon_threadsafe(self._wake, model_id)

    def _wake(self, model_id: str) -> None:
        for changed in self._streams.get(model_id, ()):
            changed.set()

    @contextmanager
    def stream(self, model_id: str) -> Iterator[asyncio.Event]:
        """
        Be woken for the length of a call, by an event that is set when the model changes.
        """
        changed = asyncio.Event()
        self._streams.setdefault(model_id, set()).add(changed)
        try:
            yield changed
        finally:
            self._streams[model_id].discard(changed)
            if not self._streams[model_id]:
                del self._streams[model_id]

    def check(self) -> None:
        """
        Tell a stream whether it may go on.

        Raises:
            Unavailable: the registry is stopping.
        """
        if self._stopping:
            raise Unavailable("the registry is stopping; subscribe again when it is back")

    def close(self) -> None:
        """
        End all streams.
        """
        self._stopping = True
        for model_id in self._streams:
            self._wake(model_id)


class Written:
    """
    Writes updates: the streams of a model, which are woken together, share one.
    """

    def __init__(self) -> None:
        self._last: tuple[VersionInfo | None, bytes] = (None, b"")

    def update(self, info: VersionInfo) -> bytes:
        """
        Give the message that tells of a version.
        """
        if self._last[0] is not info:
            self._last = info, api.VersionUpdateReply(version_info=version_message(info)).SerializeToString()
        return self._last[1]


@frozen
class UpdateCalls:
    """
    ``VersionUpdate``.
    """

    _lookup: Lookup
    _hub: Hub
    _outgoing: Outgoing
    _written: Written = field(factory=Written)

    async def version_update(self, raw: bytes, call: CallContext) -> None:
        """
        Send the latest version's info, and that of each newer one.
        """
        model_id = parse(api.VersionUpdateRequest, raw).model_id
        with self._hub.stream(model_id) as changed:
            incarnation, sent = None, 0
            while True:
                self._hub.check()
                changed.clear()
                snapshot = await self._lookup.snapshot(model_id)
                if incarnation is None:
                    await note_seen(self._lookup, snapshot, call)
                incarnation = incarnation or snapshot.incarnation
                if snapshot.incarnation != incarnation:
                    raise UnknownModel(model_id)
                info = await self._newer(snapshot, sent)
                if info is not None:
                    sent = info.version_number
                    await self._outgoing.write(call, self._written.update(info))
                await changed.wait()

    async def _newer(self, snapshot: ModelSnapshot, sent: int) -> VersionInfo | None:
        if snapshot.latest is not None:
            return snapshot.latest if snapshot.latest.version_number > sent else None
        if not snapshot.numbers or snapshot.select(-1) <= sent:
            return None
        (result,) = await self._lookup.versions(snapshot, [snapshot.select(-1)])
        return None if isinstance(result, CorruptVersion) else result
