"""
An archive for tests: a filesystem archive whose calls wait for the test.

The test and the archive communicate through files. While a file ``hold-write`` exists, each call of ``write`` creates a
file ``at-write-<n>`` and waits until the first one is gone; the same holds for other calls. ``hold-reactor`` blocks the
reactor thread. ``fail-close`` and ``fail-syncs`` make the call raise an error that no archive may raise. Calls that
cannot be held also leave a file, ``did-<n>-abort``; the numbers have the order of the calls.
"""

import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import cast

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from twisted_registry.contracts.idempotency import IKeyedArchiveWriter
from twisted_registry.contracts.streams import IArchiveReader, IArchiveWriter
from twisted_registry.domain.creation import UploadFacts
from twisted_registry.domain.errors import CorruptVersion
from twisted_registry.domain.models import Chunk, VersionInfo
from twisted_registry.storage.filesystem.archive import FilesystemArchive

_LOOK_EVERY_SECONDS = 0.005


class Holds:
    """
    The archive's end.
    """

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._numbers = count()

    def enter(self, name: str) -> None:
        """
        Wait while the call is held.
        """
        hold = self._folder / f"hold-{name}"
        is_notified = False
        while hold.exists():
            if not is_notified:
                (self._folder / f"at-{name}-{next(self._numbers)}").touch()
                is_notified = True
            time.sleep(_LOOK_EVERY_SECONDS)

    def fail(self, name: str) -> None:
        """
        Raise what no archive may, if the test says so.
        """
        if (self._folder / f"fail-{name}").exists():
            raise RuntimeError(f"{name} fails")

    def record(self, name: str) -> None:
        """
        Leave word of something.
        """
        (self._folder / f"did-{next(self._numbers):06d}-{name}").touch()


class HeldArchive(FilesystemArchive):
    """
    An archive whose calls can be held.
    """

    def __init__(self, root: str, control: str) -> None:
        """

        Args:
            control: the folder for files that hold calls.
        """
        super().__init__(root)
        self._holds = Holds(control)

    def open(self) -> None:
        self._holds.enter("open")
        from twisted.internet import reactor

        super().open()
        cast(IReactorTime, reactor).callLater(0, self._park_reactor)

    def close(self) -> None:
        self._holds.record("close")
        super().close()
        self._holds.fail("close")

    def report_syncs(self, synced: Callable[[float], None]) -> None:
        self._holds.enter("syncs")
        self._holds.fail("syncs")
        super().report_syncs(synced)

    def _park_reactor(self) -> None:
        from twisted.internet import reactor

        self._holds.enter("reactor")
        cast(IReactorTime, reactor).callLater(_LOOK_EVERY_SECONDS, self._park_reactor)

    def load_version(self, model_id: str, version_number: int) -> VersionInfo:
        self._holds.enter("load")
        return super().load_version(model_id, version_number)

    def load_versions(self, model_id: str, version_numbers: Sequence[int]) -> list[VersionInfo | CorruptVersion]:
        self._holds.enter("load")
        return super().load_versions(model_id, version_numbers)

    def open_version(self, model_id: str, version_number: int) -> IArchiveReader:
        self._holds.enter("read")
        return super().open_version(model_id, version_number)

    def create_version(self, model_id: str) -> IArchiveWriter:
        return HeldWriter(super().create_version(model_id), self._holds)

    def create_resumable(self, model_id: str, key_sha256: str, facts: UploadFacts) -> IArchiveWriter:
        return HeldWriter(super().create_resumable(model_id, key_sha256, facts), self._holds)


@implementer(IKeyedArchiveWriter)
class HeldWriter:
    """
    A writer whose calls can be held.
    """

    def __init__(self, writer: IArchiveWriter, holds: Holds) -> None:
        self._writer = writer
        self._holds = holds

    def write(self, chunk: Chunk) -> None:
        self._holds.enter("write")
        self._writer.write(chunk)

    def finish(self) -> None:
        self._writer.finish()

    def set_key(self, key_sha256: str, now_seconds: int) -> None:
        IKeyedArchiveWriter(self._writer).set_key(key_sha256, now_seconds)

    def commit(self, info: VersionInfo) -> None:
        self._holds.enter("commit")
        self._writer.commit(info)

    def abort(self) -> None:
        self._writer.abort()
        self._holds.record("abort")
