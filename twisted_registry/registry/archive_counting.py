"""
The count of what models have in the archive, once after a start and when quotas or models come.
"""

from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from twisted_registry.contracts.coordination import ICoordination
from twisted_registry.domain.errors import RegistryError, UnknownModel
from twisted_registry.domain.events import ModelDeleted, VersionDeleted
from twisted_registry.domain.models import VersionInfo
from twisted_registry.domain.snapshot import ModelSnapshot
from twisted_registry.registry.loading import Loader, pieces
from twisted_registry.registry.state import State

_LOGGED_SECONDS = 1.0

_log = Logger(namespace="twisted_registry.registry")


@define(eq=False)
class ArchiveCounting:
    """
    The reader of the sizes of archived versions, one model after the other, for ``ArchiveUsage``.

    Attributes:
        _run: starts a coroutine that the registry waits for before it closes.
        _seconds: returns the time in seconds from any fixed point.
    """

    _state: State
    _loader: Loader
    _run: Callable[[Coroutine[Deferred[Any], Any, None]], object]
    _seconds: Callable[[], float]
    _waiting: dict[str, None] = field(factory=dict, init=False)
    _done: list[Deferred[None]] = field(factory=list, init=False)
    _current: str | None = field(default=None, init=False)
    _is_running: bool = field(default=False, init=False)
    _is_stopped: bool = field(default=False, init=False)

    def follow(self, coordination: ICoordination) -> None:
        """
        Subscribe to deletions.
        """
        coordination.subscribe(self._deleted, VersionDeleted, ModelDeleted)

    def _deleted(self, event: VersionDeleted | ModelDeleted) -> None:
        if isinstance(event, VersionDeleted):
            self._state.usage.remove(event.model_id, event.key.version_number)
        else:
            self._state.usage.remove_model(event.model_id)

    def stop(self) -> None:
        """
        Stop after the present job.
        """
        self._is_stopped = True
        self._finish()

    def start(self, model_ids: Sequence[str]) -> None:
        """
        Count models, again if they have got versions from other programs.
        """
        self._waiting.update(dict.fromkeys(model_ids))
        if self._waiting and not self._is_running:
            self._is_running = True
            self._run(self._count_all())

    def loaded(self, model_id: str) -> None:
        """
        Count a model that was loaded, if that is needed.
        """
        if model_id != self._current and self._state.usage.needs_count(model_id):
            self.start([model_id])

    async def wait(self) -> None:
        """
        Wait until nothing is being counted.
        """
        if self._is_running and not self._is_stopped:
            done: Deferred[None] = Deferred()
            self._done.append(done)
            await done

    async def _count_all(self) -> None:
        began, count = self._seconds(), 0
        try:
            while self._waiting and not self._is_stopped:
                model_id = next(iter(self._waiting))
                del self._waiting[model_id]
                self._current = model_id
                await self._count(model_id)
                count += 1
        finally:
            self._is_running, self._current = False, None
            self._finish()
        seconds = self._seconds() - began
        if seconds >= _LOGGED_SECONDS:
            _log.info(
                "counted what {count} models have in the archive, for quotas, in {seconds:.1f} s",
                count=count,
                seconds=seconds,
            )

    def _finish(self) -> None:
        done, self._done = self._done, []
        for each in done:
            each.callback(None)

    async def _count(self, model_id: str) -> None:
        try:
            snapshot = await self._loader.snapshot(model_id)
            archived = [number for number in snapshot.numbers if not snapshot.numbers.is_transient(number)]
            for numbers in pieces(archived):
                if self._is_stopped:
                    return
                await self._count_some(snapshot, numbers)
        except UnknownModel:
            pass  # deleted meanwhile
        except RegistryError as error:
            _log.warn("what model {id!r} has in the archive does not count: {error}", id=model_id, error=error)
        except Exception:  # the other models must be counted, or nothing could be archived
            _log.failure("what model {id!r} has in the archive does not count", id=model_id)
        self._state.usage.counted(model_id)

    async def _count_some(self, snapshot: ModelSnapshot, numbers: Sequence[int]) -> None:
        model_id = snapshot.model_id
        found = await self._state.executor.defer(partial(self._state.archive.load_versions, model_id, numbers))
        model = self._state.current(model_id, snapshot.incarnation)
        if model is None or model.snapshot is None:
            raise UnknownModel(model_id)
        present = model.snapshot.numbers
        sizes = {
            info.version_number: info.size_bytes
            for info in found
            if isinstance(info, VersionInfo)  # it is not known how large a damaged one is
            and info.version_number in present
            and not present.is_transient(info.version_number)
        }
        self._state.usage.count(model_id, sizes)
