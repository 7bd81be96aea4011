"""
Tests of data from files and iterables.
"""

import asyncio
import gzip
import io
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.client._transfer.sources import PIECE_BYTES, source_of
from twisted_registry.client.errors import DataChanged, InvalidRequest, SizeMismatch

DATA = os.urandom(2 * PIECE_BYTES + 5)


def nothing() -> None:
    """
    Do nothing.
    """


def read(data: Any, size_bytes: int | None = None, meanwhile: Callable[[], object] = nothing) -> bytes:
    """
    Read data as an upload does.

    Args:
        meanwhile: called after the first piece.
    """

    async def reading() -> bytes:
        pieces: list[bytes] = []
        async with source_of(data, size_bytes) as source:
            async for piece in source.pieces():
                if not pieces:
                    meanwhile()
                pieces.append(bytes(piece))
        return b"".join(pieces)

    return asyncio.run(reading())


class FileTests(SynchronousTestCase):
    """
    Files.
    """

    def setUp(self) -> None:
        """
        Write a file.
        """
        self.path = Path(self.mktemp())
        self.path.write_bytes(DATA)

    def writers(self) -> list[Any]:
        """
        Return files of several kinds that can be written and read.
        """
        files: list[Any] = [
            io.BytesIO(),
            self.enterContext(tempfile.NamedTemporaryFile()),
            self.enterContext(tempfile.SpooledTemporaryFile()),
            *(self.enterContext(open(self.mktemp(), mode)) for mode in ("wb+", "ab+")),
            self.enterContext(open(self.mktemp(), "wb+", buffering=0)),
        ]
        return files

    def test_at_its_end(self) -> None:
        """
        A file that was just written is refused; after a rewind, all of it is read, including Python's buffer.
        """
        for file in self.writers():
            file.write(DATA)
            with self.assertRaises(InvalidRequest) as caught:
                read(file)
            self.assertIn("seek(0)", str(caught.exception))
            file.seek(0)
            self.assertEqual(read(file), DATA)
            self.assertRaises(InvalidRequest, read, file)  # it was read

    def test_beyond_its_end(self) -> None:
        """
        A file whose position is beyond its end is refused.
        """
        file = io.BytesIO(b"abc")
        file.seek(7)
        self.assertRaises(InvalidRequest, read, file)

    def test_unwritten_buffer(self) -> None:
        """
        If a file was written in its middle, Python's buffer is read too.
        """
        for file in self.writers():
            file.write(b"header")
            file.write(b"data")
            file.seek(6)
            self.assertEqual(read(file), b"data")

    def test_empty(self) -> None:
        """
        An empty file is data without bytes, by its path and open.
        """
        self.path.write_bytes(b"")
        self.assertEqual(read(self.path), b"")
        with self.path.open("rb") as file:
            self.assertEqual(read(file), b"")
        self.assertEqual(read(io.BytesIO()), b"")

    def test_packed(self) -> None:
        """
        A compressed file is read unpacked.
        """
        with gzip.open(self.path, "wb") as packed:
            packed.write(DATA)
        with gzip.open(self.path, "rb") as packed:
            self.assertEqual(read(packed), DATA)

    def test_opened_wrongly(self) -> None:
        """
        A file opened for text, or for writing only, is refused, and the error says what to do.
        """
        with (
            self.path.open("r+", encoding="latin-1") as text,
            tempfile.NamedTemporaryFile("w+") as wrapped,
            self.path.open("r+b") as _,
            open(self.mktemp(), "wb") as writer,
        ):
            wrapped.write("abc")
            wrapped.seek(0)
            for file in (text, wrapped, writer):
                with self.assertRaises(TypeError) as caught:
                    read(file)
                self.assertIn("Path", str(caught.exception))

    def test_stays_where_it_was(self) -> None:
        """
        After a failure a file has its former position, so that another try publishes all of it.
        """
        for file in (io.BytesIO(DATA), self.path.open("rb")):
            with file:
                file.seek(3)
                self.assertRaises(SizeMismatch, read, file, 1)
                self.assertEqual(file.tell(), 3)
                self.assertRaises(ZeroDivisionError, read, file, None, lambda: 1 // 0)
                self.assertEqual(file.tell(), 3)
                self.assertRaises(asyncio.CancelledError, read, file, None, cancel)
                self.assertEqual(read(file), DATA[3:])

    def assert_changed(self, change: Callable[[], object]) -> None:
        """
        Check that a change while a file is read is noticed, by its path and open.
        """
        for opened in (False, True):
            self.path.write_bytes(DATA)
            os.utime(self.path, ns=(7, 7))
            with self.path.open("rb") as file:
                self.assertRaises(DataChanged, read, file if opened else self.path, None, change)

    def test_written_in_place(self) -> None:
        """
        A file that is written to while it is read is noticed: other bytes, more, and fewer.
        """

        def overwrite() -> None:
            with self.path.open("r+b") as file:
                file.write(b"x")

        def append() -> None:
            with self.path.open("ab") as file:
                file.write(b"x")

        for change in (overwrite, append, lambda: self.path.write_bytes(DATA), lambda: os.truncate(self.path, 5)):
            self.assert_changed(change)

    def test_changed_in_memory(self) -> None:
        """
        A change of a file in memory is noticed if the size differs.
        """
        for size_bytes in (5, 2 * len(DATA)):
            file = io.BytesIO(DATA)

            def change(file: io.BytesIO = file, size_bytes: int = size_bytes) -> None:
                position = file.tell()
                file.truncate(size_bytes)
                file.seek(0, os.SEEK_END)
                file.write(bytes(size_bytes - file.tell()))
                file.seek(position)

            self.assertRaises(DataChanged, read, file, None, change)

    def test_replaced(self) -> None:
        """
        A file that is replaced, renamed or linked during the read is read as it was: that is the way to save.
        """

        def replace() -> None:
            other = Path(self.mktemp())
            other.write_bytes(b"other")
            other.replace(self.path)

        def link() -> None:
            os.link(self.path, self.mktemp())

        for change in (replace, link, self.path.unlink):
            self.path.write_bytes(DATA)
            self.assertEqual(read(self.path, None, change), DATA)

    def test_size_that_is_not_true(self) -> None:
        """
        A file with more data than its size, such as a device, is refused, not mistaken for an empty one.
        """

        class Device(io.BytesIO):
            def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
                return super().seek(offset, os.SEEK_SET)

        self.assertRaises(DataChanged, read, Device(b"abc"))


class IterableTests(SynchronousTestCase):
    """
    Pieces.
    """

    def test_at_its_end(self) -> None:
        """
        An iterator that is at its end already is refused, unless a size of 0 is given.
        """
        pieces = iter([b"ab", b"c"])
        self.assertEqual(read(pieces), b"abc")
        with self.assertRaises(InvalidRequest) as caught:
            read(pieces)
        self.assertIn("read before", str(caught.exception))
        self.assertEqual(read(pieces, 0), b"")

    def test_empty_pieces(self) -> None:
        """
        A piece without bytes is a piece.
        """
        self.assertEqual(read(iter([b""])), b"")

    def test_not_data(self) -> None:
        """
        An iterable without bytes or without an order is refused, and the error says what to do.
        """

        class Tensor(list[float]):
            def __array__(self) -> None: ...

        for data in (Tensor([1.0]), {b"a", b"b"}, {"layer": b"a"}, "text"):
            with self.assertRaises(TypeError) as caught:
                read(data)
            self.assertIn("save", str(caught.exception))


def cancel() -> None:
    """
    Cancel the task that calls this, as a deadline does.
    """
    raise asyncio.CancelledError
