"""
The archiver of latest versions that would be evicted.
"""

from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from twisted_registry.domain.errors import RegistryError, UnknownModel, UnknownVersion
from twisted_registry.domain.models import VersionInfo, VersionKey
from twisted_registry.mutexes import KeyedMutexes
from twisted_registry.registry.promotion import Promoter
from twisted_registry.registry.state import State

_MAX_SHARE = 8
"""The next commits wait while the versions that leave take more than this part of the budget, an eighth."""

_log = Logger(namespace="twisted_registry.registry")


class EvictionArchiver:
    """
    The promotion of versions that have left the transient store's budget while they were their model's latest.

    Such a version stays readable, from chunks that are held here, until it is archived.  It is evicted instead if a
    newer one has come meanwhile, or if the archive fails.  Nothing here waits while it owns a model or the store, so
    commits of several models cannot wait for each other.
    """

    def __init__(
        self,
        state: State,
        promoter: Promoter,
        run: Callable[[Coroutine[Deferred[Any], Any, None]], object],
        archived: Callable[[VersionInfo], None],
    ) -> None:
        """

        Args:
            run: starts a coroutine that the registry waits for before it closes.
            archived: called with each version that was archived.
        """
        self._archived = archived
        self._state = state
        self._promoter = promoter
        self._run = run
        self._mutexes = KeyedMutexes()
        self._waiting: deque[Deferred[None]] = deque()
        self._leaving_bytes = 0

    def is_wanted(self, key: VersionKey) -> bool:
        """
        Return whether a version is to be archived instead of being evicted.
        """
        model = self._state.current(key.model_id, key.incarnation)
        return model is not None and model.is_latest_transient(key.version_number)

    def start(self, key: VersionKey, size_bytes: int) -> None:
        """
        Archive a version that has left the store, in the background.
        """
        self._leaving_bytes += size_bytes
        self._run(self._archive(key, size_bytes))

    async def room(self) -> None:
        """
        Wait until few versions are leaving.  The caller owns nothing.
        """
        while self._leaving_bytes > self._state.transients.store.max_bytes // _MAX_SHARE:
            done: Deferred[None] = Deferred()
            self._waiting.append(done)
            await done

    async def _archive(self, key: VersionKey, size_bytes: int) -> None:
        try:
            async with self._mutexes.hold("archive"):  # one at a time: a newer version may make it needless
                model = self._state.current(key.model_id, key.incarnation)
                if model is not None and model.is_latest_transient(key.version_number):
                    self._archived(await self._promoter.archive(model.loaded, key.version_number))
        except (UnknownVersion, UnknownModel):
            pass  # deleted meanwhile
        except RegistryError as error:
            _log.warn(
                "the latest version of model {id!r} is evicted, because it cannot be archived: {error}",
                id=key.model_id,
                error=error,
            )
        finally:
            self._state.transients.release(key)
            self._state.evict([key])
            self._leaving_bytes -= size_bytes
            waiting, self._waiting = self._waiting, deque()
            for done in waiting:
                done.callback(None)
