"""
The removal of what deleted models and versions left in the archive, in the background.
"""

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from twisted_registry.contracts.execution import IExecutor
from twisted_registry.domain.errors import RegistryError
from twisted_registry.registry.lost_models import LossDetectingArchive

PAUSE_SHARE = 3.0
"""
A pause takes so many times as long as the job before it, so that a slow disk and the interpreter have time for commits.
"""

_MOST_PAUSE_SECONDS = 2.0

_log = Logger(namespace="twisted_registry.registry")


class BackgroundRemoval:
    """
    A sequence of short jobs in the archive's executor with pauses, so that other jobs run in between.

    Attributes:
        is_running: whether a removal is under way.
    """

    def __init__(
        self,
        archive: LossDetectingArchive,
        executor: IExecutor,
        seconds: Callable[[], float],
        clock: IReactorTime | None,
    ) -> None:
        """
        Args:
            seconds: returns the time in seconds from any fixed point.
            clock: schedules the pauses; ``None`` for no pauses.
        """
        self._archive = archive
        self._executor = executor
        self._seconds = seconds
        self._clock = clock
        self._pausing: Deferred[None] | None = None
        self.is_running = False
        self._is_stopped = False

    async def run(self) -> None:
        """
        Remove everything that is due, unless a removal is under way already.
        """
        if self.is_running:
            return
        self.is_running = True
        try:
            while not self._is_stopped and self._archive.removal_seconds() == 0.0:
                began = self._seconds()
                await self._executor.defer(self._archive.remove_some)
                await self._pause(PAUSE_SHARE * (self._seconds() - began))
        except RegistryError as error:
            _log.debug("deleted files stay for now: {error}", error=error)
        finally:
            self.is_running = False

    async def _pause(self, seconds: float) -> None:
        if self._clock is None or self._is_stopped:
            return
        self._pausing = deferLater(self._clock, min(seconds, _MOST_PAUSE_SECONDS))
        try:
            await self._pausing
        except CancelledError:
            return  # stopped
        finally:
            self._pausing = None

    async def begin(self) -> None:
        """
        Remove some of what is due.  A small model is gone completely then, and its space on the disk is free; to begin
        with a large one takes as long as to list its files.
        """
        if self.is_running or self._archive.removal_seconds() != 0.0:
            return
        try:
            await self._executor.defer(self._archive.remove_some)
        except RegistryError as error:
            _log.debug("deleted files stay for now: {error}", error=error)

    def stop(self) -> None:
        """
        Stop after the present job.  The next start of the registry goes on.
        """
        self._is_stopped = True
        if self._pausing is not None:
            self._pausing.cancel()
