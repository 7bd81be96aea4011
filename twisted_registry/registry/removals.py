"""
The removal of what deleted models and versions left in the archive, in the background.
"""

from twisted.logger import Logger

from twisted_registry.contracts.execution import IExecutor
from twisted_registry.domain.errors import RegistryError
from twisted_registry.registry.lost_models import LossDetectingArchive

_log = Logger(namespace="twisted_registry.registry")


class BackgroundRemoval:
    """
    A sequence of short jobs in the archive's executor, so that other jobs run in between.

    Attributes:
        is_running: whether a removal is under way.
    """

    def __init__(self, archive: LossDetectingArchive, executor: IExecutor) -> None:
        self._archive = archive
        self._executor = executor
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
                await self._executor.defer(self._archive.remove_some)
        except RegistryError as error:
            _log.debug("deleted files stay for now: {error}", error=error)
        finally:
            self.is_running = False

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
