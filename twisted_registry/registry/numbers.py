"""
Numbers for transient versions, reserved on the archive before they are given out.
"""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred

from twisted_registry.domain.errors import RegistryError
from twisted_registry.domain.models import MAX_VERSION_NUMBER
from twisted_registry.domain.snapshot import ModelSnapshot
from twisted_registry.registry.log import log
from twisted_registry.registry.model import Model
from twisted_registry.registry.state import State

NUMBERS_PER_BLOCK = 100
"""
How many version numbers are reserved on the archive at a time: transient versions cost one sync in a hundred, and a
crash leaves a gap of about as many.
"""

MOST_RAISED = 1_000_000
"""
By how much clients can raise the numbers of one model in the life of a process.  A restored backup is rarely so far
behind; and a client that lies would need two thousand restarts to use up a model's numbers.
"""


@frozen(eq=False)
class Numbers:
    """
    Reserves numbers a block at a time; the next one while half of the last is left, so that a slow disk does not hold
    up who publishes.

    Attributes:
        _background: runs a coroutine that nobody waits for, and that must end before the archive is closed.
    """

    _state: State
    _background: Callable[[Coroutine[Deferred[Any], Any, None]], Deferred[None]]

    async def cover(self, model: Model, number: int) -> None:
        """
        See that a number may be given out.  The caller holds the model's line.

        Raises:
            StorageFull: it may not, the medium has no room.
            StorageReadOnly: it may not, the medium takes no writes.
            StorageFailure: it may not, the medium failed.
        """
        if number > model.high_water_mark:
            await self._extend(model, number)
        elif number + NUMBERS_PER_BLOCK // 2 > model.high_water_mark and not model.is_raising_mark:
            model.is_raising_mark = True
            self._background(self._extend_ahead(model))

    async def _extend_ahead(self, model: Model) -> None:
        try:
            await self._extend(model, model.high_water_mark + 1)
        except RegistryError as error:
            log.debug("no numbers of {id!r} are reserved ahead: {error}", id=model.model_id, error=error)
        finally:
            model.is_raising_mark = False

    async def _extend(self, model: Model, first: int) -> None:
        async with self._state.writes.hold(model.model_id):
            if first <= model.high_water_mark or self._state.current(model.model_id, model.incarnation) is not model:
                return
            highest = min(first + NUMBERS_PER_BLOCK - 1, MAX_VERSION_NUMBER)
            await self._state.executor.defer(partial(self._state.archive.set_high_water_mark, model.model_id, highest))
            model.high_water_mark = highest

    async def note_seen(self, snapshot: ModelSnapshot, seen: int) -> None:
        """
        Let numbers go on after one that a client has seen; see
        ``IRegistry.note_seen``.
        """
        async with self._state.locks.hold(snapshot.model_id):
            model = self._state.current(snapshot.model_id, snapshot.incarnation)
            if model is None or not model.went_back(seen):
                return
            highest, raised_by = model.last_number, seen - model.last_number
            is_taken = model.raised + raised_by <= MOST_RAISED and seen <= MAX_VERSION_NUMBER
            if is_taken:
                model.raised += raised_by
                model.last_number = seen
                await self._remember(model)
            self._tell_seen(model, seen, highest, is_taken)

    async def _remember(self, model: Model) -> None:
        try:
            async with self._state.writes.hold(model.model_id):
                mark = max(model.high_water_mark, model.last_number)
                await self._state.executor.defer(partial(self._state.archive.set_high_water_mark, model.model_id, mark))
                model.high_water_mark = mark
        except RegistryError as error:
            log.warn("the numbers of {id!r} are raised in memory only: {error}", id=model.model_id, error=error)

    def _tell_seen(self, model: Model, seen: int, highest: int, is_taken: bool) -> None:
        # Once for each model: every one of its clients comes back with such a number.
        if model.told_seen:
            return
        model.told_seen = True
        log.warn(
            "a client has seen version {seen} of {id!r}, and the highest number given here is {highest}: the archive "
            "went back to an earlier state, or the model was made anew; {outcome}. After a backup was restored, stop "
            "the daemon and run 'twisted-registry archive raise-numbers DIR'",
            seen=seen,
            id=model.model_id,
            highest=highest,
            outcome=f"the next number is {seen + 1}" if is_taken else "that is too far to be believed, nothing is done",
        )

    async def give_back(self, model: Model) -> None:
        """
        Write down the exact number, so that the next one leaves no gap.
        """
        if model.high_water_mark <= model.last_number:
            return
        try:
            await self._state.executor.defer(
                partial(self._state.archive.set_high_water_mark, model.model_id, model.last_number)
            )
        except RegistryError as error:
            log.warn("the next version of {id!r} will leave a gap: {error}", id=model.model_id, error=error)
