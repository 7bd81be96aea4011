"""
Files that a client writes whole.
"""

import asyncio
import errno
import os
import resource
import signal
from pathlib import Path
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.client._data.files import replaced_whole


class ReplacedWholeTests(SynchronousTestCase):
    """
    L{replaced_whole}.
    """

    replaced: ClassVar = b"before"

    def setUp(self) -> None:
        """
        Make a folder with a file.
        """
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.path = self.folder / "model"
        self.path.write_bytes(self.replaced)

    def replace(self, path: Path, failure: BaseException | None = None) -> None:
        """
        Write a file, and fail in the middle of it if that is asked.
        """

        async def writing() -> None:
            async with replaced_whole(path) as file:
                file.write(b"after")
                if failure is not None:
                    raise failure

        asyncio.run(writing())

    def assert_nothing_left(self, *names: str) -> None:
        """
        Check what is in the folder.
        """
        self.assertEqual({path.name for path in self.folder.iterdir()}, {"model", *names})

    def test_replaces(self) -> None:
        """
        A file that is there is replaced.
        """
        self.replace(self.path)
        self.assertEqual(self.path.read_bytes(), b"after")
        self.assert_nothing_left()

    def test_failure(self) -> None:
        """
        Where writing fails, what was there is there still, and nothing else.
        """
        with self.assertRaises(ValueError):
            self.replace(self.path, ValueError())
        self.assertEqual(self.path.read_bytes(), self.replaced)
        self.assert_nothing_left()

    def test_cancellation_at_any_time(self) -> None:
        """
        Wherever it is cancelled, one file or the other is there, whole, and nothing else once the threads are done.
        """

        async def cancelled_after(turns: int) -> bool:
            async def writing() -> None:
                async with replaced_whole(self.path) as file:
                    await asyncio.to_thread(file.write, b"after")

            task = asyncio.ensure_future(writing())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            await asyncio.get_running_loop().shutdown_default_executor()
            return not task.cancelled()

        turns = 0
        while not asyncio.run(cancelled_after(turns)):
            self.assertIn(self.path.read_bytes(), (self.replaced, b"after"))
            self.assert_nothing_left()
            self.path.write_bytes(self.replaced)
            turns += 1 + turns // 20  # a slow disk's sync takes thousands of turns
        self.assertGreater(turns, 2)

    def test_full_disk(self) -> None:
        """
        Where the disk is full when the file is closed, nothing is left of it.
        """
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_FSIZE, limits)
        self.addCleanup(signal.signal, signal.SIGXFSZ, signal.signal(signal.SIGXFSZ, signal.SIG_IGN))

        async def writing() -> None:
            async with replaced_whole(self.path) as file:
                resource.setrlimit(resource.RLIMIT_FSIZE, (1, limits[1]))
                file.write(b"after")

        with self.assertRaises(OSError):
            asyncio.run(writing())
        self.assert_nothing_left()

    def test_link(self) -> None:
        """
        A link is replaced, and what it leads to is left alone.
        """
        link = self.folder / "link"
        link.symlink_to(self.path.name)
        self.replace(link)
        self.assertEqual((link.read_bytes(), link.is_symlink()), (b"after", False))
        self.assertEqual(self.path.read_bytes(), self.replaced)

    def test_what_cannot_be_replaced(self) -> None:
        """
        A folder, a pipe and a device are refused, and left as they are.
        """
        pipe = self.folder / "pipe"
        os.mkfifo(pipe)
        for path, number in ((self.folder, errno.EISDIR), (pipe, errno.EINVAL), (Path(os.devnull), errno.EINVAL)):
            with self.assertRaises(OSError) as caught:
                self.replace(path)
            self.assertEqual((caught.exception.errno, caught.exception.filename), (number, str(path)))
        self.assertTrue(pipe.is_fifo())
        self.assert_nothing_left("pipe")
