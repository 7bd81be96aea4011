"""
Space that is freed when the medium is full.
"""

import errno
import os
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.storage.filesystem.space import Space, device_of, free_bytes

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class SpaceTests(SynchronousTestCase):
    """
    A medium on which some files are too many.
    """

    def setUp(self) -> None:
        """
        Fill it with three files that can be removed.
        """
        self.space = Space()
        self.space.free = self.free
        self.files = 3
        self.fitting = 0
        self.calls = 0

    def free(self, device: int | None) -> bool:
        """
        Remove a file.
        """
        self.files -= 1
        return self.files >= 0

    def write(self) -> int:
        """
        Write, if there are not too many files.
        """
        self.calls += 1
        if self.files > self.fitting:
            raise FULL
        return self.files

    def test_until_it_succeeds(self) -> None:
        """
        Only as much is freed as a call needs.
        """
        self.fitting = 1
        self.assertEqual((self.space.retrying(self.write), self.calls), (1, 3))
        self.assertEqual((self.space.retrying(self.write), self.calls), (1, 4))

    def test_until_nothing_is_left(self) -> None:
        """
        If nothing more can be freed, the call fails as it did.
        """
        self.fitting = -1
        self.assertIs(self.assertRaises(OSError, self.space.retrying, self.write), FULL)
        self.assertEqual(self.calls, 4)

    def test_other_errors(self) -> None:
        """
        Nothing is freed for any other error.
        """

        def fail() -> None:
            raise OSError(errno.EIO, "bad sector")

        self.assertRaises(OSError, self.space.retrying, fail)
        self.assertRaises(OSError, self.space.freeing, fail)
        self.assertEqual(self.files, 3)

    def test_freed_meanwhile(self) -> None:
        """
        A call that failed before another one has freed something is made again, before more is freed.
        """
        self.fitting = 2

        def write() -> int:
            if self.calls == 0:
                try:
                    return self.write()
                finally:
                    self.space.retrying(self.write)
            return self.write()

        self.assertEqual((self.space.retrying(write), self.files), (2, 2))

    def test_full_while_it_is_freed(self) -> None:
        """
        A call that is made in order to free something frees nothing itself.
        """

        def free(device: int | None) -> bool:
            self.assertRaises(OSError, self.space.retrying, self.write)
            return False

        self.space.free = free
        self.assertRaises(OSError, self.space.retrying, self.write)
        self.assertEqual(self.calls, 2)

    def test_not_repeated(self) -> None:
        """
        A sync is not made again, but something is freed for the next call.
        """
        self.fitting = 2
        self.assertRaises(OSError, self.space.freeing, lambda: [self.write(), None][1])
        self.assertEqual((self.calls, self.files), (1, 2))


class DeviceTests(SynchronousTestCase):
    """
    A medium that says how much of it is free.
    """

    def setUp(self) -> None:
        """
        Open a folder on it.
        """
        self.folder = os.open(".", os.O_RDONLY)
        self.addCleanup(os.close, self.folder)
        self.space = Space()
        self.kept = 10
        self.free_bytes = 0
        self.devices: list[int | None] = []
        self.space.free_bytes = lambda descriptor: self.free_bytes
        self.space.free = self.free

    def free(self, device: int | None) -> bool:
        """
        Drop an upload.
        """
        self.devices.append(device)
        self.kept -= 1
        return self.kept >= 0

    def full(self) -> None:
        """
        Fail for lack of space.
        """
        raise OSError(errno.ENOSPC, "No space left on device")

    def test_freeing_does_not_help(self) -> None:
        """
        If dropping an upload makes no space, the call is made once more, and the other uploads stay.
        """
        self.assertRaises(OSError, self.space.retrying, self.full, self.folder)
        self.assertEqual((self.kept, self.devices), (9, [device_of(self.folder)]))

    def test_freeing_helps(self) -> None:
        """
        As long as dropping makes space, uploads are dropped until the call succeeds.
        """

        def free(device: int | None) -> bool:
            self.free_bytes += 1
            return self.free(device)

        def write() -> Any:
            return "written" if self.kept == 5 else self.full()

        self.space.free = free
        self.assertEqual(self.space.retrying(write, self.folder), "written")
        self.assertEqual(self.kept, 5)

    def test_real_space(self) -> None:
        """
        The free space is that of the file system.
        """
        found = free_bytes(self.folder)
        self.assertTrue(found is None or found >= 0)
        self.assertIsNone(free_bytes(-1))
