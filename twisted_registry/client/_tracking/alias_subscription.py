"""
The subscription of a tracker of an alias, over as many calls as it takes.
"""

import logging

from twisted_registry.client._tracking.base import SubscriptionBase
from twisted_registry.client._tracking.event_stream import EventStream
from twisted_registry.client._transport.aliases import Aliases
from twisted_registry.client._transport.calls import Calls
from twisted_registry.client._transport.registry_api import RegistryApi
from twisted_registry.client._transport.requests import sendable_model_id
from twisted_registry.client._transport.retry_log import retry_log
from twisted_registry.client.errors import (
    CorruptVersion,
    CursorExpired,
    InvalidRequest,
    ModelReplaced,
    UnknownAlias,
    UnknownModel,
    UnknownVersion,
)
from twisted_registry.domain.aliases import AliasMove
from twisted_registry.domain.references import Reference

_log = logging.getLogger("twisted_registry.client")

_MOVED = "alias_moved"
_DELETED = "model_deleted"


class AliasSubscription(SubscriptionBase):
    """
    A subscription to the version that an alias names.  The position counts the versions that it has named.

    If the connection is lost, the events go on after the last one.  If that is not possible, the alias is read again.
    If the archive was restored to an earlier state, the alias is followed back.
    """

    def __init__(self, calls: Calls, model_id: str, alias: str) -> None:
        super().__init__(calls, model_id)
        self._alias = alias
        self._aliases = Aliases(RegistryApi(calls))
        self._events = EventStream(calls, model_id, kinds=(_MOVED, _DELETED))
        self._move: AliasMove | None = None
        self._loaded: AliasMove | None = None

    async def open(self) -> None:
        """
        Subscribe, and find the version that the alias names.

        Raises:
            UnknownModel: there is no such model.
            UnknownAlias: there is no such alias.
            ModelReplaced: the model was deleted and created again.
            Unsupported: the server has no aliases.
        """
        sendable_model_id(self._model_id)
        await self._connect()
        await self._load()

    async def _connect(self) -> None:
        if not await self._resumed():
            await self._begin()
        self._set_connected(True)
        retry_log.succeeded(self.subject)

    async def _begin(self) -> None:
        """
        Subscribe from now on, and read the alias.
        """
        await self._events.open()
        try:
            self._move = await self._present_move()
        except BaseException:
            self._forget_cursor()
            raise

    async def _resumed(self) -> bool:
        """
        Return whether the events go on after the last one.
        """
        if not self._events.cursor:
            return False
        try:
            await self._events.open()
        except (CursorExpired, InvalidRequest):
            self._events.cursor = ""
            return False
        return True

    async def _present_move(self) -> AliasMove:
        move = (await self._aliases.of_model(self._model_id)).get(self._alias)
        if move is None:
            raise UnknownAlias(self._model_id, self._alias)
        known = self._move
        if known is not None and (
            move.sequence < known.sequence or (move.sequence == known.sequence and move != known)
        ):
            await self._check_restored(known)
            _log.warning(
                "the archive at %s went back to an earlier state: %s names version %d now, after version %d",
                self.subject[0],
                Reference(self._model_id, alias=self._alias),
                move.to_number,
                known.to_number,
            )
        return move

    async def _check_restored(self, known: AliasMove) -> None:
        # A model that was created again counts its moves from 1, too, but all of them are later.
        async for move in self._aliases.moves(self._model_id, ""):
            if move.moved_ns <= known.moved_ns:
                return
        raise ModelReplaced(self._model_id)

    async def _receive(self) -> None:
        if not self.is_connected:
            await self._connect()
        # If loading has failed, it is repeated before the next event is read.
        if self._loaded == self._move:
            await self._read()
        await self._load()

    async def _read(self) -> None:
        try:
            event = await self._events.read()
        except CursorExpired:
            self._forget_cursor()
            await self._connect()
            return
        except BaseException:
            self.close()
            raise
        if event.kind == _DELETED:
            raise UnknownModel(self._model_id)
        move = event.move
        # Those before the alias was read may be announced again.
        if move is None or move.alias != self._alias or (self._move and move.sequence <= self._move.sequence):
            return
        if not move.to_number:
            raise UnknownAlias(self._model_id, self._alias)
        self._move = move

    async def _load(self) -> None:
        """
        Load the info of the version that the alias names.
        """
        move = self._move
        if move is None or move == self._loaded:
            return
        try:
            self.latest, self.damage = await self._queries.version(self._model_id, move.to_number), None
        except CorruptVersion as error:
            self.damage = error
        except UnknownVersion:
            # The alias has moved on, and the version was deleted: the next event says where to.
            self._loaded = move
            return
        self._loaded, self.position = move, self.position + 1
        self._calls.connection.memory.saw(self._model_id, move.to_number)
        if move.moved_ns <= (self.connection_changed_ns or 0):
            self._log_missed()
        self.changed.set()

    def _forget_cursor(self) -> None:
        self.close()
        self._events.cursor = ""

    def close(self) -> None:
        """
        Cancel the call.
        """
        self._events.close()
        self._set_connected(False)
