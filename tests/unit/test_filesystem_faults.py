"""
The archive on a file system: a fault, or the death of the process, at each single call to the system.
"""

import errno
import os
from functools import partial
from itertools import count

from tests.support.fault_case import ACTS, FaultCase, create, delete, fill, make, nothing, state
from tests.support.faulty_system import Killed, failing_at, failing_from, failing_where, killed_at
from twisted_registry.domain.errors import (
    CommitUncertain,
    StorageFailure,
    StorageFull,
    StorageReadOnly,
    TooManyOpenFiles,
)
from twisted_registry.domain.models import Chunk
from twisted_registry.testing.samples import version_info

ERRORS = (errno.EIO, errno.ENOSPC, errno.EMFILE, errno.EROFS, errno.EACCES)

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
"""What each of the system's errors is to who would change something."""


class FaultTests(FaultCase):
    """
    Each call of each act, disturbed.
    """

    def test_one_fault(self) -> None:
        """
        An act in which one call fails has succeeded or says why not; then nothing is left of it, open or on the disk.
        """
        for number in ERRORS:
            for attempt in self.attempts(partial(failing_at, number)):
                if isinstance(attempt.error, StorageFull | StorageReadOnly | StorageFailure):
                    self.assertEqual(attempt.error.reason, os.strerror(number))
                    self.assertEqual(attempt.private() + attempt.single_data(), [])
                self.assertEqual(
                    list(attempt.system.descriptors.values()), [str(attempt.root), str(attempt.root / ".0" / "claim")]
                )
                self.check_held(attempt, attempt.archive)
                self.check_reopened(attempt)

    def test_lasting_fault(self) -> None:
        """
        Where every call fails from one on, what is reported is true, and what could not be removed is swept later.
        """
        for number in ERRORS:
            for attempt in self.attempts(partial(failing_from, number)):
                self.assertEqual(
                    list(attempt.system.descriptors.values()), [str(attempt.root), str(attempt.root / ".0" / "claim")]
                )
                self.check_reopened(attempt)
                self.assertEqual(attempt.single_data(), [])

    def test_killed(self) -> None:
        """
        Where the process dies, an act is wholly done or not at all, and nothing stays of what it left behind.
        """
        for attempt in self.attempts(killed_at):
            self.assertIsInstance(attempt.error, Killed)
            self.check_reopened(attempt)
            self.assertEqual(attempt.single_data(), [])

    def test_failed_sync_is_not_repeated(self) -> None:
        """
        A version whose data did not come to rest is given up: no second sync can tell that it did.
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
        A version of which less is there than was written is given up.
        """
        attempt = self.attempt(make, nothing, None)
        self.patch(attempt.system, "write", lambda descriptor, data: len(data))
        writer = attempt.archive.create_version("m")
        writer.write(Chunk(b"data"))
        self.assertIn("of 4 bytes written, 0 are there", str(self.assertRaises(StorageFailure, writer.finish)))
        self.assertEqual(attempt.private(), [])

    def test_kinds(self) -> None:
        """
        Whatever would be changed, and at whichever call it fails, one error of the system is one error of ours.
        """
        for before, act in ACTS:
            calls = self.attempt(before, act, None).system.calls
            # After that, what was renamed may be there: it can only be said that the medium failed.
            last = max(
                position for position, call in enumerate(calls) if call.startswith(("rename ", "rename_noreplace "))
            )
            for number, kind in KINDS.items():
                expected = StorageFailure if (act, kind) == (delete, StorageFull) else kind
                for position in range(last + 1):
                    error = self.attempt(before, act, failing_at(number, position)).error
                    if error is None and number == errno.EPERM and calls[position].startswith("rename_noreplace "):
                        continue  # there are other ways to give a name that nothing has
                    # What is closed behind something that was read is no loss.
                    if error is not None or not calls[position].startswith("close "):
                        self.assertIs(type(error), expected, f"{calls[position]}: {os.strerror(number)}")

    def test_no_room_to_delete(self) -> None:
        """
        Nobody is told to make room by deleting, who was deleting.
        """
        attempt = self.attempt(fill, delete, failing_where("rename m .*", errno.ENOSPC))
        self.assertIsInstance(attempt.error, StorageFailure)
        self.assertEqual(state(attempt.archive), attempt.before)

    def test_folders_without_sync(self) -> None:
        """
        A file system that knows no sync of folders will do.
        """
        for before, act in ACTS:
            attempt = self.attempt(before, act, failing_where(r"fsync (m|\.|\.0/trash)", errno.EINVAL))
            self.assertEqual((attempt.error, state(attempt.archive)), (None, attempt.after))
        attempt = self.attempt(make, create, failing_where(r"fsync m/\.new-\*", errno.EINVAL))
        self.assertIsInstance(attempt.error, StorageFailure)

    def test_uncertain(self) -> None:
        """
        Only where the last sync of a commit fails it is uncertain, and the version is gone as far as that goes.
        """
        calls = self.attempt(fill, create, None).system.calls
        last = max(position for position, call in enumerate(calls) if call == "fsync m")
        for position in range(len(calls)):
            attempt = self.attempt(fill, create, failing_at(errno.ENOSPC, position))
            self.assertEqual(isinstance(attempt.error, CommitUncertain), position == last)
            if position == last:
                self.assertEqual(state(attempt.archive), attempt.before)
                self.assertEqual(attempt.single_data(), [])

    def test_uncertain_and_whole(self) -> None:
        """
        Where the end of such a version cannot be brought to rest, its data stays: should it come back, it is whole.
        """
        calls = self.attempt(fill, create, None).system.calls
        last = max(position for position, call in enumerate(calls) if call == "fsync m")

        position = count()

        def disturb(call: str) -> None:
            if next(position) >= last and call == "fsync m":
                raise OSError(errno.EIO, "")

        attempt = self.attempt(fill, create, disturb)
        self.assertIsInstance(attempt.error, CommitUncertain)
        self.assertEqual([path.name for path in attempt.single_data()], ["m-v000002.data"])
