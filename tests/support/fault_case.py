"""
All changes of an archive on the file system, disturbed.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase

from tests.support.faulty_system import Disturbance, FaultySystem, Killed
from twisted_registry.contracts.idempotency import IKeyedArchiveWriter
from twisted_registry.contracts.lifecycle import ILifecycleWriter
from twisted_registry.contracts.streams import IArchiveWriter
from twisted_registry.domain.aliases import AliasMove, AliasState
from twisted_registry.domain.annotations import Annotations
from twisted_registry.domain.creation import UploadFacts
from twisted_registry.domain.errors import (
    CommitUncertain,
    CorruptAnnotations,
    StorageFailure,
    StorageFull,
    StorageReadOnly,
)
from twisted_registry.domain.idempotency import key_sha256
from twisted_registry.domain.models import Chunk, ModelInfo, VersionInfo
from twisted_registry.domain.retention import RetentionPolicy
from twisted_registry.storage.filesystem.archive import FilesystemArchive
from twisted_registry.testing.archive_annotations import move
from twisted_registry.testing.archive_lifecycle import remove_all
from twisted_registry.testing.samples import data_of, put, version_info

Act = Callable[[FilesystemArchive], object]
Lifecycle = tuple[list[Annotations | CorruptAnnotations], AliasState, list[AliasMove], RetentionPolicy | None]
State = Mapping[str, tuple[Mapping[str, str], int, list[tuple[VersionInfo, bytes]], Lifecycle]]


def nothing(archive: FilesystemArchive) -> None:
    """
    Leave an archive empty.
    """


def make(archive: FilesystemArchive) -> None:
    """
    Create a model.
    """
    archive.save_model(ModelInfo("m", {"a": "old"}))


def fill(archive: FilesystemArchive) -> None:
    """
    Create a model with a version and a high-water mark.
    """
    make(archive)
    put(archive, "m", 1)
    archive.set_high_water_mark("m", 3)


def create(archive: FilesystemArchive) -> None:
    """
    Create a version, and abort it if that fails.
    """
    writer = archive.create_version("m")
    try:
        writer.write(Chunk(b"da"))
        writer.write(Chunk(b"ta"))
        writer.finish()
        writer.commit(version_info("m", 2, b"data"))
    finally:
        writer.abort()


def delete(archive: FilesystemArchive) -> None:
    """
    Delete the model, and remove what is left of it as far as possible.
    """
    archive.delete_model("m")
    _remove(archive)


def delete_version(archive: FilesystemArchive) -> None:
    """
    Delete the version, and remove what is left of it as far as possible.
    """
    archive.delete_version("m", 1)
    _remove(archive)


def delete_versions(archive: FilesystemArchive) -> None:
    """
    Delete the version together with one that does not exist, and remove what is left as far as possible.
    """
    archive.delete_versions("m", [1, 3])
    _remove(archive)


def _remove(archive: FilesystemArchive) -> None:
    with suppress(StorageFailure, StorageReadOnly):  # the deletion has succeeded
        remove_all(archive)


def fill_above(archive: FilesystemArchive) -> None:
    """
    Create a model with two versions, and numbers between them.
    """
    fill(archive)
    put(archive, "m", 5)


def promote(archive: FilesystemArchive) -> None:
    """
    Create a version between the two, and abort it if that fails.
    """
    writer = ILifecycleWriter(archive.create_version("m"))
    try:
        writer.write(Chunk(b"data"))
        writer.finish()
        writer.commit_between(version_info("m", 2, b"data"))
    finally:
        writer.abort()


ACTS: tuple[tuple[Act, Act], ...] = (
    (nothing, make),
    (fill, lambda archive: archive.save_model(ModelInfo("m", {"a": "new"}))),
    (fill, lambda archive: archive.set_high_water_mark("m", 9)),
    (fill, delete),
    (fill, create),
    (fill, delete_version),
    (fill, delete_versions),
    (fill_above, promote),
)
"""Each kind of change of an archive, after what prepares it."""


def fill_lifecycle(archive: FilesystemArchive) -> None:
    """
    Create a model with annotations, an alias and a policy.
    """
    fill(archive)
    archive.save_annotations("m", 1, Annotations({"a": "old"}))
    archive.append_alias_moves("m", [move(1, "prod", 0, 1)])
    archive.save_retention("m", RetentionPolicy(keep_last=1))


def move_aliases(archive: FilesystemArchive) -> None:
    """
    Move two aliases.
    """
    archive.append_alias_moves("m", [move(2, "prod", 1, 0), move(3, "best", 0, 1)])


def create_with_extras(archive: FilesystemArchive) -> None:
    """
    Create a version with a key, annotations and aliases, and abort it if that fails.
    """
    _create_with_extras(archive, lambda writer: writer.commit)


def promote_with_extras(archive: FilesystemArchive) -> None:
    """
    The same for a number below another.
    """
    _create_with_extras(archive, lambda writer: writer.commit_between)


def _create_with_extras(
    archive: FilesystemArchive, commit: Callable[[ILifecycleWriter], Callable[[VersionInfo], object]]
) -> None:
    writer = archive.create_version("m")
    try:
        writer.write(Chunk(b"data"))
        writer.finish()
        IKeyedArchiveWriter(writer).set_key(key_sha256("key"), 1)
        ILifecycleWriter(writer).set_annotations(Annotations({"a": "b"}, {"c": 1.5}))
        ILifecycleWriter(writer).set_alias_moves([move(2, "prod", 1, 2), move(3, "best", 0, 2)])
        commit(ILifecycleWriter(writer))(version_info("m", 2, b"data"))
    finally:
        writer.abort()


def fill_lifecycle_above(archive: FilesystemArchive) -> None:
    """
    Create such a model with a higher version.
    """
    fill_lifecycle(archive)
    put(archive, "m", 5)


LIFECYCLE_ACTS: tuple[tuple[Act, Act], ...] = (
    (fill, move_aliases),
    (fill_lifecycle, move_aliases),
    (fill_lifecycle, lambda archive: archive.save_annotations("m", 1, Annotations({"a": "new"}))),
    (fill_lifecycle, lambda archive: archive.save_retention("m", RetentionPolicy(keep_last=2))),
    (fill_lifecycle, lambda archive: archive.save_retention("m", None)),
    (fill_lifecycle, create_with_extras),
    (fill_lifecycle_above, promote_with_extras),
)
"""Each kind of change of annotations, aliases and policies, after what prepares it."""


def create_resumable(archive: FilesystemArchive) -> None:
    """
    Create a version whose data outlives the process, and abort it if that fails.
    """
    _finish(archive.create_resumable("m", key_sha256("key"), _FACTS), b"data")


def fill_interrupted(archive: FilesystemArchive) -> None:
    """
    Create a model with such a version of which an earlier process has written a half.
    """
    fill(archive)
    archive.create_resumable("m", key_sha256("key"), _FACTS).write(Chunk(b"da"))
    archive.close()
    archive.open()


def resume(archive: FilesystemArchive) -> None:
    """
    Write the other half of the version, and abort it if that fails.
    """
    upload = archive.find_unfinished("m", key_sha256("key"))
    assert upload is not None
    _finish(archive.resume_version(upload), b"ta")


def _finish(writer: IArchiveWriter, data: bytes) -> None:
    try:
        writer.write(Chunk(data))
        writer.finish()
        writer.commit(version_info("m", 2, b"data"))
    finally:
        writer.abort()


_FACTS = UploadFacts(True, 4, "", "")

UNFINISHED_ACTS: tuple[tuple[Act, Act], ...] = ((fill, create_resumable), (fill_interrupted, resume))
"""Each kind of creation of a version whose data outlives the process, after what prepares it."""


def state(archive: FilesystemArchive) -> State:
    """
    Return the content of an archive.  Fails if any of it is damaged.
    """
    return {model_id: _model_state(archive, model_id) for model_id in archive.model_ids()}


def _model_state(
    archive: FilesystemArchive, model_id: str
) -> tuple[Mapping[str, str], int, list[tuple[VersionInfo, bytes]], Lifecycle]:
    numbers = archive.version_numbers(model_id)
    versions = [(archive.load_version(model_id, n), data_of(archive, model_id, n)) for n in numbers]
    lifecycle = (
        archive.load_annotations(model_id, numbers),
        archive.load_aliases(model_id),
        archive.alias_moves(model_id),
        archive.load_retention(model_id),
    )
    return archive.load_model(model_id).metadata, archive.high_water_mark(model_id), versions, lifecycle


def _versions(content: State) -> list[tuple[VersionInfo, bytes]]:
    return content["m"][2] if "m" in content else []


@frozen
class Attempt:
    """
    A disturbed act.

    Attributes:
        before: the content of the archive without the act.
        after: the content with the act.
        error: the error that the act raised.
    """

    root: Path
    system: FaultySystem
    archive: FilesystemArchive
    before: State
    after: State
    error: BaseException | None

    def is_certain_of_failure(self) -> bool:
        """
        Return whether the error means that nothing has changed.
        """
        creates_version = len(_versions(self.after)) > len(_versions(self.before))
        version_failed = isinstance(self.error, StorageFailure) and creates_version
        return isinstance(self.error, StorageFull | StorageReadOnly) or (
            version_failed and not isinstance(self.error, CommitUncertain)
        )

    def private(self) -> list[Path]:
        """
        Return the files in the private folder, and the temp files and the marks in the models' folders.
        """
        private = [path for name in ("tmp", "trash") for path in (self.root / ".0" / name).iterdir()]
        marks = [path for kind in ("deleted", "promoting") for path in self.root.glob(f"*/.{kind}-*")]
        stray = [path for path in self.root.glob("m/.annotations-*") if not self._has_yaml(path.name[-6:])]
        return [*private, *self.root.glob("*/.new-*"), *marks, *stray]

    def _has_yaml(self, digits: str) -> bool:
        return (self.root / "m" / f"m-v{digits}.yaml").exists()

    def data_without_yaml(self) -> list[Path]:
        """
        Return the data files without a .yaml.
        """
        return [path for path in self.root.glob("m/*.data") if not path.with_suffix(".yaml").exists()]


class FaultCase(SynchronousTestCase):
    """
    A test case that disturbs acts and checks the archive.

    Attributes:
        acts: the acts, each after what prepares it.
    """

    acts = ACTS

    def setUp(self) -> None:
        """
        Start without attempts.
        """
        self.states: dict[tuple[Act, ...], State] = {}

    def attempt(self, before: Act, act: Act, disturbance: Disturbance | None) -> Attempt:
        """
        Attempt an act on a new archive.
        """
        root = Path(self.mktemp()).absolute()
        system = FaultySystem(str(root), disturbance=disturbance, is_recording=False)
        archive = FilesystemArchive(str(root), system)
        archive.open()
        self.addCleanup(system.close_all)
        before(archive)
        system.is_recording = True
        error: BaseException | None = None
        try:
            act(archive)
        except (StorageFull, StorageReadOnly, StorageFailure, Killed) as caught:
            error = caught
        system.disturbance = None
        return Attempt(root, system, archive, self.undisturbed(before), self.undisturbed(before, act), error)

    def undisturbed(self, *acts: Act) -> State:
        """
        Return the content of an archive after acts without a disturbance.
        """
        if acts not in self.states:
            archive = FilesystemArchive(self.mktemp())
            archive.open()
            for act in acts:
                act(archive)
            self.states[acts] = state(archive)
            archive.close()
        return self.states[acts]

    def attempts(self, disturbance: Callable[[int], Disturbance]) -> Iterator[Attempt]:
        """
        Attempt all acts, disturbed at each of their calls.
        """
        for before, act in self.acts:
            calls = len(self.attempt(before, act, None).system.calls)
            self.assertGreater(calls, 5)
            for position in range(calls):
                yield self.attempt(before, act, disturbance(position))

    def check_content(self, attempt: Attempt, archive: FilesystemArchive) -> None:
        """
        Check that an archive holds what the act has promised.
        """
        content = state(archive)
        if attempt.error is None:
            self.assertEqual(content, attempt.after)
        elif attempt.is_certain_of_failure():
            self.assertEqual(content, attempt.before)
        else:
            self.assertIn(content, (attempt.before, attempt.after))

    def check_reopened(self, attempt: Attempt) -> None:
        """
        Check that the reopened archive holds what the operation has promised, and nothing else.
        """
        attempt.system.close_all()
        archive = FilesystemArchive(str(attempt.root))
        archive.open()
        self.check_content(attempt, archive)
        remove_all(archive)
        self.assertEqual(attempt.private(), [])
        archive.close()
