"""
The archive on a file system: a fault, or the death of the process, at each single system call.
"""

import errno
import os
from functools import partial
from itertools import count

from tests.support import fault_suite
from tests.support.fault_case import (
    ACTS,
    LIFECYCLE_ACTS,
    UNFINISHED_ACTS,
    create,
    delete,
    delete_version,
    delete_versions,
    fill,
    make,
    nothing,
    state,
)
from tests.support.faulty_system import failing_at, failing_where
from twisted_registry.domain.errors import (
    CommitUncertain,
    StorageFailure,
    StorageFull,
    StorageReadOnly,
    TooManyOpenFiles,
)
from twisted_registry.domain.idempotency import key_sha256
from twisted_registry.domain.models import Chunk
from twisted_registry.testing.samples import version_info

KINDS: dict[int, type[StorageFull | StorageReadOnly | StorageFailure]] = {
    errno.ENOSPC: StorageFull,
    errno.EDQUOT: StorageFull,
    errno.EMFILE: TooManyOpenFiles,
    errno.ENFILE: TooManyOpenFiles,
    errno.EROFS: StorageReadOnly,
    errno.EACCES: StorageReadOnly,
    errno.EPERM: StorageReadOnly,
    errno.EIO: StorageFailure,
    errno.ENOMEM: StorageFailure,
}
"""The error that each error of the system becomes in a change."""


class FaultTests(fault_suite.FaultSuite):
    """
    All operations, with a fault at each of their system calls.
    """

    errors = (errno.EIO, errno.ENOSPC, errno.EMFILE, errno.EROFS, errno.EACCES)

    def test_failed_sync_is_not_repeated(self) -> None:
        """
        A version whose data could not be synced is aborted, because a second sync would not report the loss.
        """
        attempt = self.attempt(make, nothing, None)
        writer = attempt.archive.create_version("m")
        writer.write(Chunk(b"data"))
        attempt.system.disturbance = failing_at(errno.EIO, 0)
        self.assertRaises(StorageFailure, writer.finish)
        attempt.system.disturbance = None
        self.assertRaises(StorageFailure, writer.finish)
        self.assertRaises(StorageFailure, writer.commit, version_info("m", 1, b"data"))
        self.assertEqual(attempt.private(), [])

    def test_lost_write(self) -> None:
        """
        A version is aborted if its file is shorter than what was written.
        """
        attempt = self.attempt(make, nothing, None)
        self.patch(attempt.system, "write", lambda descriptor, data: len(data))
        writer = attempt.archive.create_version("m")
        writer.write(Chunk(b"data"))
        self.assertIn("4 bytes were written, but the file has 0", str(self.assertRaises(StorageFailure, writer.finish)))
        self.assertEqual(attempt.private(), [])

    def test_kinds(self) -> None:
        """
        Each error of the system becomes the same error of the registry, for every act and at every call.
        """
        for before, act in ACTS:
            calls = self.attempt(before, act, None).system.calls
            # After the last rename, the change may have happened, so the error is always StorageFailure.
            last = max(
                position for position, call in enumerate(calls) if call.startswith(("rename ", "rename_noreplace "))
            )
            for number, kind in KINDS.items():
                is_deletion = act in (delete, delete_version, delete_versions)
                expected = StorageFailure if is_deletion and kind is StorageFull else kind
                for position in range(last + 1):
                    if act in (delete_version, delete_versions) and calls[position].endswith(" m/.reserved"):
                        continue  # the mark is only read
                    error = self.attempt(before, act, failing_at(number, position)).error
                    if error is None and number == errno.EPERM and calls[position].startswith("rename_noreplace "):
                        continue  # there are other ways to rename without replacing
                    # An error of close after reading is ignored.
                    if error is not None or not calls[position].startswith("close "):
                        self.assertIs(type(error), expected, f"{calls[position]}: {os.strerror(number)}")

    def test_delete_is_never_full(self) -> None:
        """
        Deleting never raises ``StorageFull``, because its remedy would be to delete.
        """
        attempt = self.attempt(fill, delete, failing_where("rename m .*", errno.ENOSPC))
        self.assertIsInstance(attempt.error, StorageFailure)
        self.assertEqual(state(attempt.archive), attempt.before)

    def test_folders_without_sync(self) -> None:
        """
        A file system that does not support syncing folders can be used.
        """
        for before, act in ACTS:
            attempt = self.attempt(before, act, failing_where(r"fsync (m|\.|\.0/trash)", errno.EINVAL))
            self.assertEqual((attempt.error, state(attempt.archive)), (None, attempt.after))
        attempt = self.attempt(make, create, failing_where(r"fsync m/\.new-\*", errno.EINVAL))
        self.assertIsInstance(attempt.error, StorageFailure)

    def test_uncertain(self) -> None:
        """
        A commit is uncertain only if its last sync fails; the version is then removed as far as possible.
        """
        calls = self.attempt(fill, create, None).system.calls
        last = max(position for position, call in enumerate(calls) if call == "fsync m")
        for position in range(len(calls)):
            attempt = self.attempt(fill, create, failing_at(errno.ENOSPC, position))
            self.assertEqual(isinstance(attempt.error, CommitUncertain), position == last)
            if position == last:
                self.assertEqual(state(attempt.archive), attempt.before)
                self.assertEqual(attempt.data_without_yaml(), [])

    def test_uncertain_and_whole(self) -> None:
        """
        If the removal of such a version cannot be synced, its data stays, so that the version is complete if it comes
        back.
        """
        calls = self.attempt(fill, create, None).system.calls
        last = max(position for position, call in enumerate(calls) if call == "fsync m")

        position = count()

        def disturb(call: str) -> None:
            if next(position) >= last and call == "fsync m":
                raise OSError(errno.EIO, "")

        attempt = self.attempt(fill, create, disturb)
        self.assertIsInstance(attempt.error, CommitUncertain)
        self.assertEqual([path.name for path in attempt.data_without_yaml()], ["m-v000002.data"])


class LifecycleFaultTests(fault_suite.FaultSuite):
    """
    Changes of annotations, aliases and policies, and versions that are committed with them.
    """

    acts = LIFECYCLE_ACTS
    errors = (errno.EIO, errno.ENOSPC)


class UnfinishedFaultTests(fault_suite.FaultSuite):
    """
    Versions whose data outlives the process.
    """

    acts = UNFINISHED_ACTS
    errors = (errno.EIO, errno.ENOSPC)

    def test_nothing_left(self) -> None:
        """
        An upload that fails leaves neither its data nor its description.
        """
        for attempt in self.attempts(partial(failing_at, errno.EIO)):
            if attempt.error is not None and attempt.archive.find_unfinished("m", key_sha256("key")) is None:
                left = [*attempt.root.glob("m/.upload-*"), *attempt.root.glob(".0/uploads/*")]
                self.assertEqual(left, [])
