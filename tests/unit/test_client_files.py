"""
Tests of the atomic replacement of files.
"""

import asyncio
import contextlib
import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from tests.support.client import data_hash
from twisted_registry.client._transfer import files, part_file
from twisted_registry.client._transfer.files import replaced_whole

ROOT = Path(__file__).parents[2]

_PROGRAM = """
import asyncio, sys
from pathlib import Path
from twisted_registry.client._transfer import files
path, unnamed, what = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
files._UNNAMED = unnamed and files._UNNAMED
async def writing():
    async with files.replaced_whole(path) as file:
        file.write(b"after")
        file.flush()
        print("written", flush=True)
        if what == "wait":
            sys.stdin.read()
asyncio.run(writing())
"""


def program(path: Path, is_unnamed: bool, what: str = "") -> list[str]:
    """
    Return the command that replaces a file in another process.

    Args:
        what: ``wait`` to have it wait before the end until its stdin is closed.
    """
    return [sys.executable, "-c", _PROGRAM, str(path), str(int(is_unnamed)), what]


class ReplacedWholeTests(SynchronousTestCase):
    """
    ``replaced_whole``.
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

    def replace(self, path: Path, failure: BaseException | None = None, size_bytes: int = 0) -> None:
        """
        Write a file, and fail halfway if asked to.
        """

        async def writing() -> None:
            async with replaced_whole(path, size_bytes) as file:
                file.write(b"after")
                if failure is not None:
                    raise failure

        asyncio.run(writing())

    def assert_nothing_left(self, *names: str) -> None:
        """
        Check the contents of the folder.
        """
        self.assertEqual({path.name for path in self.folder.iterdir()}, {"model", *names})

    def test_replaces(self) -> None:
        """
        An existing file is replaced.
        """
        self.replace(self.path)
        self.assertEqual(self.path.read_bytes(), b"after")
        self.assert_nothing_left()

    def test_failure(self) -> None:
        """
        If writing fails, only the old file is there.
        """
        with self.assertRaises(ValueError):
            self.replace(self.path, ValueError())
        self.assertEqual(self.path.read_bytes(), self.replaced)
        self.assert_nothing_left()

    def test_cancellation_at_any_time(self) -> None:
        """
        After a cancellation at any time, either file is there, complete, and nothing else once the threads are done.
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
        If the disk is full when the file is closed, nothing is left of it.
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
        A link is replaced, and its target is not.
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

    def test_where_it_cannot_be_written(self) -> None:
        """
        A missing folder, a file in place of the folder, and too little space are refused before anything is written.
        """
        nowhere, below = self.folder / "none" / "model", self.path / "model"
        for path, number in ((nowhere, errno.ENOENT), (below, errno.ENOTDIR)):
            with self.assertRaises(OSError) as caught:
                self.replace(path)
            self.assertEqual(caught.exception.errno, number)
        with self.assertRaises(OSError) as caught:
            self.replace(self.path, size_bytes=2**60)
        self.assertEqual(caught.exception.errno, errno.ENOSPC)
        self.assertIn(f"it takes {2**60:,} bytes", str(caught.exception))
        self.assertEqual(self.path.read_bytes(), self.replaced)
        self.assert_nothing_left()


class NamedTests(ReplacedWholeTests):
    """
    ``replaced_whole`` on a file system without unnamed files.
    """

    def setUp(self) -> None:
        """
        Pretend that unnamed files are not supported.
        """
        super().setUp()
        self.patch(files, "_UNNAMED", 0)

    def test_temporary_name(self) -> None:
        """
        Until the end there is a hidden file beside the old one.
        """

        async def writing() -> set[str]:
            async with replaced_whole(self.path):
                return {path.name for path in self.folder.iterdir()}

        (temporary,) = asyncio.run(writing()) - {"model"}
        self.assertRegex(temporary, r"^\.model\.[0-9a-f]{8}\.part$")


class PartTests(SynchronousTestCase):
    """
    Parts of large files.
    """

    size_bytes: ClassVar = part_file.LEAST_BYTES

    def setUp(self) -> None:
        """
        Make a folder.
        """
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    async def interrupted(self, path: Path, sha256: str, size_bytes: int) -> int:
        """
        Write the first bytes of a large file, and cancel that.

        Returns:
            How many bytes an earlier attempt has kept.
        """
        kept = 0
        with contextlib.suppress(asyncio.CancelledError):  # trial gives the bare name another meaning
            async with replaced_whole(path, self.size_bytes, sha256) as file:
                kept = file.tell()
                file.write(bytes(size_bytes))
                file.flush()
                raise asyncio.CancelledError
        return kept

    def test_cancelled_after_the_commit(self) -> None:
        """
        A cancellation that arrives when the file was just replaced raises nothing else, and leaves the new file.
        """
        path = self.folder / "model"
        replacement = files._Replacement(path, self.size_bytes, part_file.part_name("model", data_hash(b"")))
        replacement.file.write(bytes(self.size_bytes))
        replacement.commit()
        replacement.discard(keeps_part=True)
        self.assertEqual([each.name for each in self.folder.iterdir()], ["model"])

    def test_long_names_that_begin_alike(self) -> None:
        """
        A file keeps its part while another one is written whose long name begins in the same way.
        """
        names = ["m" * 60 + end for end in ("-1", "-2")]
        for _ in range(2):
            kept = [
                asyncio.run(self.interrupted(self.folder / name, data_hash(name.encode()), 2_000_000)) for name in names
            ]
        self.assertEqual(kept, [2_000_000, 2_000_000])
        parts = sorted(path.name for path in self.folder.iterdir())
        self.assertEqual(len(parts), 2)
        for name in ("模" * 200, "x" * 255):
            self.assertLessEqual(len(os.fsencode(part_file.part_name(name, data_hash(b"")))), 255)


class KilledTests(SynchronousTestCase):
    """
    Processes that are killed while they replace a file.
    """

    def setUp(self) -> None:
        """
        Make a folder with a file.
        """
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.path = self.folder / "model"
        self.path.write_bytes(b"before")

    def names(self) -> set[str]:
        """
        Return the names in the folder.
        """
        return {path.name for path in self.folder.iterdir()}

    def begin(self, is_unnamed: bool) -> "subprocess.Popen[bytes]":
        """
        Let another process write until shortly before the end.
        """
        process = subprocess.Popen(
            program(self.path, is_unnamed, "wait"), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        assert process.stdout is not None
        self.assertEqual(process.stdout.readline(), b"written\n")
        return process

    def kill(self, is_unnamed: bool) -> None:
        """
        Kill another process shortly before the end.
        """
        process = self.begin(is_unnamed)
        process.kill()
        process.wait()

    def replace(self) -> None:
        """
        Replace the file in this process.
        """

        async def writing() -> None:
            async with replaced_whole(self.path) as file:
                file.write(b"again")

        asyncio.run(writing())

    def test_nothing_is_left(self) -> None:
        """
        An unnamed file is gone with its process.
        """
        self.kill(is_unnamed=True)
        self.assertEqual(self.names(), {"model"})
        self.assertEqual(self.path.read_bytes(), b"before")

    def test_next_replacement_removes_it(self) -> None:
        """
        A named temporary file is removed by the next replacement of the same file, and other files are not.
        """
        others = {".model.0123456.part", ".model.012345678.part", ".other.01234567.part", ".model.01234567.part.x"}
        for name in others:
            (self.folder / name).touch()
        (self.folder / ".model.0123abcd.part").mkdir()
        for _ in range(3):
            self.kill(is_unnamed=False)
        self.assertEqual(len(self.names()), 7)  # each has removed the one before
        self.replace()
        self.assertEqual(self.names(), {"model", ".model.0123abcd.part", *others})

    def test_those_at_work_are_left_alone(self) -> None:
        """
        A temporary file whose process still writes stays, and that process replaces the file as well.
        """
        process = self.begin(is_unnamed=False)
        self.replace()
        self.assertEqual(self.path.read_bytes(), b"again")
        self.assertEqual(len(self.names()), 2)
        process.communicate()
        self.assertEqual(process.returncode, 0)
        self.assertEqual(self.path.read_bytes(), b"after")
        self.assertEqual(self.names(), {"model"})
