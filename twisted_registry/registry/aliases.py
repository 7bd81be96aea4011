"""
Aliases: names for versions, durable before anyone sees them.
"""

from collections.abc import Callable, Sequence
from functools import partial

from attrs import frozen

from twisted_registry.domain.aliases import AliasChange, AliasMove
from twisted_registry.domain.errors import UnknownVersion
from twisted_registry.domain.events import AliasChanged
from twisted_registry.domain.snapshot import ModelSnapshot
from twisted_registry.registry.models import Model
from twisted_registry.registry.promotion import Promoter
from twisted_registry.registry.state import State


@frozen(eq=False)
class AliasChanges:
    """
    The moves of aliases.
    """

    _state: State
    _promoter: Promoter
    _now_ns: Callable[[], int]

    async def move(self, snapshot: ModelSnapshot, change: AliasChange) -> AliasMove:
        """
        See ``IVersionChanges.move_alias``.
        """
        try:
            known = await self._prepare(snapshot, change)
            if known is not None:
                return known
            async with self._state.coordination.exclusive(snapshot.model_id):
                return await self._move_owned(self._state.model(snapshot), change)
        except BaseException as error:
            self._state.publish_failure("move alias", snapshot.model_id, error)
            raise

    async def _prepare(self, snapshot: ModelSnapshot, change: AliasChange) -> AliasMove | None:
        """
        Check a change and archive its version.  Returns the move that the same request has made before.
        """
        self._state.check_lifecycle()
        await self._state.settle(snapshot.model_id)
        model = self._state.model(snapshot)
        known = self._state.alias_requests.find(model.incarnation, change.request)
        if known is not None:
            return known
        # Checked again when the model is owned.  Now it keeps a version from being archived for nothing.
        change.check(model.model_id, model.loaded.aliases)
        if change.to_number:
            await self._promoter.archive(snapshot, change.to_number)
        return None

    async def _move_owned(self, model: Model, change: AliasChange) -> AliasMove:
        known = self._state.alias_requests.find(model.incarnation, change.request)
        if known is not None:  # repeated while the first request was under way
            return known
        move = await self._change_owned(model, change)
        self._state.alias_requests.add(model.incarnation, change.request, move)
        return move

    async def _change_owned(self, model: Model, change: AliasChange) -> AliasMove:
        aliases = model.loaded.aliases
        from_number = change.check(model.model_id, aliases)
        if change.to_number and change.to_number not in model.loaded.numbers:  # deleted meanwhile
            raise UnknownVersion(model.model_id, change.to_number)
        if from_number == change.to_number:
            return aliases[change.alias]
        move = change.move(from_number, self._now_ns(), model.alias_sequence + 1)
        async with self._state.coordination.writing(model.model_id):
            await self._state.executor.defer(partial(self._state.archive.append_alias_moves, model.model_id, [move]))
        model.move_alias(move)
        self._state.coordination.publish(AliasChanged(model.model_id, model.incarnation, move))
        return move

    async def moves(
        self, snapshot: ModelSnapshot, alias: str | None, before: int | None, limit: int | None
    ) -> Sequence[AliasMove]:
        """
        See ``IVersionChanges.alias_moves``.
        """
        while True:
            await self._state.settle(snapshot.model_id)
            model = self._state.model(snapshot)
            # The journal may have moves that are not durable yet, and that a failure takes back.
            end = model.alias_sequence + 1
            end = end if before is None else min(before, end)
            read = partial(self._state.archive.alias_moves, model.model_id, alias, end, limit)
            moves = await self._state.executor.defer(read)
            if not model.is_deleting:
                self._state.model(snapshot)  # checks that the archive has not lost it
                return moves
