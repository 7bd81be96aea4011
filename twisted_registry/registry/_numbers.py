"""
Numbers for transient versions, reserved on the archive before they are given out.
"""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred

from twisted_registry.errors import RegistryError
from twisted_registry.registry._log import log
from twisted_registry.registry._model import Model
from twisted_registry.registry._state import State
from twisted_registry.values import MAX_VERSION_NUMBER

RESERVED_AT_ONCE = 100
"""
How many version numbers are reserved on the archive at a time: transient versions cost one sync in a hundred, and a
crash leaves a gap of about as many.
"""


@frozen(eq=False)
class Numbers:
    """
    Reserves numbers a block at a time; the next one while half of the last is left, so that a slow disk does not hold
    up who publishes.

    @ivar _background: runs a coroutine that nobody waits for, and that must end before the archive is closed.
    """

    _state: State
    _background: Callable[[Coroutine[Deferred[Any], Any, None]], Deferred[None]]

    async def reserve(self, model: Model, number: int) -> None:
        """
        See that a number may be given out.  The caller holds the model's line.

        @raise StorageFull: it may not, the medium has no room.
        @raise StorageReadOnly: it may not, the medium takes no writes.
        @raise StorageFailure: it may not, the medium failed.
        """
        if number > model.reserved:
            await self._extend(model, number)
        elif number + RESERVED_AT_ONCE // 2 > model.reserved and not model.reserving:
            model.reserving = True
            self._background(self._extend_ahead(model))

    async def _extend_ahead(self, model: Model) -> None:
        try:
            await self._extend(model, model.reserved + 1)
        except RegistryError as error:
            log.debug("no numbers of {id!r} are reserved ahead: {error}", id=model.model_id, error=error)
        finally:
            model.reserving = False

    async def _extend(self, model: Model, first: int) -> None:
        async with self._state.writes.hold(model.model_id):
            if first <= model.reserved or self._state.current(model.model_id, model.incarnation) is not model:
                return
            highest = min(first + RESERVED_AT_ONCE - 1, MAX_VERSION_NUMBER)
            await self._state.threads.defer(partial(self._state.archive.reserve, model.model_id, highest))
            model.reserved = highest

    async def give_back(self, model: Model) -> None:
        """
        Write down the exact number, so that the next one leaves no gap.
        """
        if model.reserved <= model.last_number:
            return
        try:
            await self._state.threads.defer(partial(self._state.archive.reserve, model.model_id, model.last_number))
        except RegistryError as error:
            log.warn("the next version of {id!r} will leave a gap: {error}", id=model.model_id, error=error)
