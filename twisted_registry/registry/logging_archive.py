"""
An archive whose failures the log is told of: the one place, whatever the provider, and whoever asked.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from attrs import define, frozen
from zope.interface import implementer

from twisted_registry.contracts.archive import IArchive, IArchiveReader, IArchiveWriter
from twisted_registry.contracts.ownership import ILocatedArchive
from twisted_registry.domain.errors import CorruptModel, StorageFailure, StorageUnavailable, UnknownModel
from twisted_registry.domain.models import Chunk, ModelInfo, VersionInfo
from twisted_registry.registry.error_log import TROUBLES, Act, Troubles
from twisted_registry.registry.model import Model


@contextmanager
def _reading(troubles: Troubles) -> Iterator[None]:
    # That one version can be read says nothing of another: for reading nothing is ever over.
    try:
        yield
    except StorageUnavailable as error:
        troubles.failed("read", error)
        raise
    except StorageFailure as error:
        # What a provider may raise instead.  Reading changes nothing, so whoever asked can always try again.
        unavailable = StorageUnavailable(error.reason)
        troubles.failed("read", unavailable)
        raise unavailable from error


class LostModel(CorruptModel):
    """
    The registry knows a model that the archive no longer has.
    """

    def __init__(self, model_id: str) -> None:
        super().__init__(
            model_id,
            "its folder is gone",
            "restore its folder, or let CreateOrUpdateModel make the model anew, without versions",
        )


@frozen(eq=False)
class KnownModels:
    """
    What the registry knows of models, for those who see that one is gone.  Called in any thread.

    Attributes:
        current: returns the model that has an id; ``None`` where there is none, or it is being deleted.
        lost: is notified that a model is gone from the archive.
    """

    current: Callable[[str], Model | None] = lambda model_id: None
    lost: Callable[[Model], None] = lambda model: None

    @contextmanager
    def telling_lost(self, model_id: str) -> Iterator[None]:
        """
        Raise ``LostModel`` for an ``UnknownModel`` of a model that was known before and still is.
        """
        model = self.current(model_id)
        try:
            yield
        except UnknownModel as error:
            if model is None or self.current(model_id) is not model:
                raise
            self.lost(model)
            raise LostModel(model_id) from error


@contextmanager
def _changing(troubles: Troubles, act: Act) -> Iterator[None]:
    try:
        yield
    except TROUBLES as error:
        troubles.failed(act, error)
        raise
    troubles.succeeded(act)


@implementer(ILocatedArchive)
class WatchedArchive:
    """
    Passes all calls on, and notes which of them fail because the medium does.
    """

    def __init__(self, archive: IArchive, troubles: Troubles, known: KnownModels | None = None) -> None:
        self.description: str = archive.description
        self._archive = archive
        self._troubles = troubles
        self._known = known or KnownModels()

    # At the start, and at the end: who starts the daemon is told by other ways.

    def open(self) -> None:
        """See ``IArchive.open``."""
        self._archive.open()

    def close(self) -> None:
        """See ``IArchive.close``."""
        self._archive.close()

    def model_ids(self) -> list[str]:
        """See ``IModelStore.model_ids``."""
        return self._archive.model_ids()

    def check(self) -> None:
        """See ``ILocatedArchive.check``.  Does nothing where the archive cannot tell."""
        if ILocatedArchive.providedBy(self._archive):
            with _changing(self._troubles, "check"):
                self._archive.check()

    def missing(self, model_ids: Sequence[str]) -> list[str]:
        """See ``ILocatedArchive.missing``.  Returns nothing where the archive cannot tell."""
        if not ILocatedArchive.providedBy(self._archive):
            return []
        with _reading(self._troubles):
            missing: list[str] = self._archive.missing(model_ids)
        return missing

    # Reading.

    def load_model(self, model_id: str) -> ModelInfo:
        """See ``IModelStore.load_model``."""
        with _reading(self._troubles), self._known.telling_lost(model_id):
            return self._archive.load_model(model_id)

    def version_numbers(self, model_id: str) -> list[int]:
        """See ``IVersionStore.version_numbers``."""
        with _reading(self._troubles), self._known.telling_lost(model_id):
            return self._archive.version_numbers(model_id)

    def load_version(self, model_id: str, version_number: int) -> VersionInfo:
        """See ``IVersionStore.load_version``."""
        with _reading(self._troubles), self._known.telling_lost(model_id):
            return self._archive.load_version(model_id, version_number)

    def open_version(self, model_id: str, version_number: int) -> IArchiveReader:
        """See ``IVersionStore.open_version``."""
        with _reading(self._troubles), self._known.telling_lost(model_id):
            reader = self._archive.open_version(model_id, version_number)
        return WatchedReader(reader, self._troubles)

    def high_water_mark(self, model_id: str) -> int:
        """See ``IHighWaterMarks.high_water_mark``."""
        with _reading(self._troubles):
            return self._archive.high_water_mark(model_id)

    # Changing.

    def save_model(self, info: ModelInfo) -> None:
        """See ``IModelStore.save_model``."""
        with _changing(self._troubles, "save"):
            self._archive.save_model(info)

    def delete_model(self, model_id: str) -> None:
        """See ``IModelStore.delete_model``."""
        with _changing(self._troubles, "delete"):
            self._archive.delete_model(model_id)

    def create_version(self, model_id: str) -> IArchiveWriter:
        """See ``IVersionStore.create_version``."""
        writer = self._archive.create_version(model_id)
        return WatchedWriter(writer, self._troubles, model_id, self._known)

    def set_high_water_mark(self, model_id: str, version_number: int) -> None:
        """See ``IHighWaterMarks.set_high_water_mark``."""
        with _changing(self._troubles, "reserve"), self._known.telling_lost(model_id):
            self._archive.set_high_water_mark(model_id, version_number)


@implementer(IArchiveReader)
@define(eq=False)
class WatchedReader:
    """
    Reads a version's data, and notes where that fails.
    """

    _reader: IArchiveReader
    _troubles: Troubles

    def read(self, size_bytes: int) -> bytes:
        """See ``IArchiveReader.read``."""
        with _reading(self._troubles):
            return self._reader.read(size_bytes)

    def close(self) -> None:
        """See ``IArchiveReader.close``."""
        self._reader.close()


@implementer(IArchiveWriter)
@define(eq=False)
class WatchedWriter:
    """
    Writes a version's data, and notes the first failure: what follows fails because the version was given up.
    """

    _writer: IArchiveWriter
    _troubles: Troubles
    _model_id: str
    _known: KnownModels
    _over: bool = False

    def write(self, chunk: Chunk) -> None:
        """See ``IChunkSink.write``."""
        with self._watched():
            self._writer.write(chunk)

    def finish(self) -> None:
        """See ``IArchiveWriter.finish``."""
        with self._watched():
            self._writer.finish()

    def commit(self, info: VersionInfo) -> None:
        """See ``IArchiveWriter.commit``."""
        with self._watched():
            self._writer.commit(info)
        self._troubles.succeeded("create")

    def abort(self) -> None:
        """See ``IChunkSink.abort``."""
        self._over = True
        self._writer.abort()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            with self._known.telling_lost(self._model_id):
                yield
        except TROUBLES as error:
            if not self._over:
                self._over = True
                self._troubles.failed("create", error)
            raise
