"""
Coordination within a single process, which owns its archive alone.

Numbers are reserved on the archive in blocks: transient versions cost one sync in a hundred, and a crash leaves a gap
of about as many numbers.  The next block is reserved while half of the last one is left, so that a slow disk does not
delay commits.
"""

from contextlib import AbstractAsyncContextManager
from functools import partial
from itertools import count

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from twisted_registry.contracts.archive import IHighWaterMarks
from twisted_registry.contracts.coordination import ICoordination, INumberSequence
from twisted_registry.contracts.execution import IExecutor
from twisted_registry.coordination.event_bus import EventBus
from twisted_registry.domain.errors import NumbersExhausted, RegistryError
from twisted_registry.domain.models import MAX_VERSION_NUMBER
from twisted_registry.mutexes import KeyedMutexes

NUMBERS_PER_BLOCK = 100

MAX_RAISED = 1_000_000
"""
The most by which clients can raise the numbers of one model in the life of a process.  A restored backup is rarely
further behind, and a client that lies would need two thousand restarts to use up a model's numbers.
"""

_log = Logger(namespace="twisted_registry.registry")


@implementer(ICoordination)
class LocalCoordination(EventBus):
    """
    Numbers from the archive's high-water marks, mutexes, and an event bus.
    """

    def __init__(self, marks: IHighWaterMarks, executor: IExecutor) -> None:
        """

        Args:
            marks: the archive, which remembers the numbers assigned.
            executor: runs the archive's calls.
        """
        self._marks = marks
        self._executor = executor
        self._owners = KeyedMutexes()
        self._writers = KeyedMutexes()
        self._incarnations = count(1)
        super().__init__()

    def sequence(self, model_id: str) -> "LocalSequence":
        """See ``ICoordination.sequence``."""
        return LocalSequence(model_id, self._marks, self._executor, self._writers)

    def incarnation(self, model_id: str) -> int:
        """See ``ICoordination.incarnation``."""
        return next(self._incarnations)

    def exclusive(self, model_id: str) -> AbstractAsyncContextManager[None]:
        """See ``ICoordination.exclusive``."""
        return self._owners.hold(model_id)

    def writing(self, model_id: str) -> AbstractAsyncContextManager[None]:
        """See ``ICoordination.writing``."""
        return self._writers.hold(model_id)


@implementer(INumberSequence)
@define(eq=False)
class LocalSequence:
    """
    The version numbers of one model, reserved as a high-water mark on the archive.

    Attributes:
        last: see ``INumberSequence.last``.
        _mark: numbers up to this one may be assigned without asking the archive.
        _raised: how far clients have raised the numbers in this process.
        _extension: fires when the reservation under way is done; ``None`` if there is none.
        _is_retired: whether the model was deleted.
    """

    _model_id: str
    _marks: IHighWaterMarks
    _executor: IExecutor
    _writers: KeyedMutexes
    last: int = 0
    _mark: int = field(default=0, init=False)
    _raised: int = field(default=0, init=False)
    _extension: Deferred[None] | None = field(default=None, init=False)
    _is_retired: bool = field(default=False, init=False)

    async def load(self, highest: int) -> None:
        """See ``INumberSequence.load``."""
        self._mark = await self._executor.defer(partial(self._marks.high_water_mark, self._model_id))
        self.last = max(self.last, self._mark, highest)

    def next(self) -> int:
        """See ``INumberSequence.next``."""
        if self.last >= MAX_VERSION_NUMBER:
            raise NumbersExhausted(self._model_id)
        return self.last + 1

    def use(self, number: int) -> None:
        """See ``INumberSequence.use``."""
        self.last = max(self.last, number)

    async def reserve(self, number: int) -> None:
        """See ``INumberSequence.reserve``."""
        if number > self._mark:
            await self._extend(number)
        elif number + NUMBERS_PER_BLOCK // 2 > self._mark and self._extension is None:
            self._extend_ahead()

    def _extend_ahead(self) -> None:
        # This is set before the start, because the reservation may be done at once.
        done: Deferred[None] = Deferred()
        self._extension = done

        async def extend() -> None:
            try:
                await self._extend(self._mark + 1)
            except RegistryError as error:
                _log.debug("cannot reserve numbers for {id!r} in advance: {error}", id=self._model_id, error=error)
            finally:
                self._extension = None
                done.callback(None)

        Deferred.fromCoroutine(extend()).addErrback(
            lambda failure: _log.failure("cannot reserve numbers for {id!r} in advance", failure, id=self._model_id)
        )

    async def _extend(self, first: int) -> None:
        async with self._writers.hold(self._model_id):
            if first > self._mark and not self._is_retired:
                await self._write_mark(min(first + NUMBERS_PER_BLOCK - 1, MAX_VERSION_NUMBER))

    async def _write_mark(self, mark: int) -> None:
        await self._executor.defer(partial(self._marks.set_high_water_mark, self._model_id, mark))
        self._mark = mark

    async def raise_to(self, number: int) -> bool:
        """See ``INumberSequence.raise_to``."""
        raised = self._raised + max(0, number - self.last)
        if raised > MAX_RAISED or number > MAX_VERSION_NUMBER:
            return False
        self._raised = raised
        self.use(number)
        try:
            async with self._writers.hold(self._model_id):
                await self._write_mark(max(self._mark, self.last))
        except RegistryError as error:
            _log.warn(
                "the numbers of {id!r} were raised only in memory: {error}; make the archive writable before the "
                "next start",
                id=self._model_id,
                error=error,
            )
        return True

    async def release(self) -> None:
        """See ``INumberSequence.release``."""
        if self._extension is not None:
            await self._extension
        if self._mark <= self.last:
            return
        try:
            await self._write_mark(self.last)
        except RegistryError as error:
            _log.warn("the next version of {id!r} will leave a gap: {error}", id=self._model_id, error=error)

    def retire(self) -> None:
        """See ``INumberSequence.retire``."""
        self._is_retired = True
