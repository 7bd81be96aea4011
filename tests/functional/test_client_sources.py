"""
Data that cannot be published, or not to its end.
"""

import asyncio
import gc
import io
import mmap
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.daemon import TIMEOUT_SECONDS
from tests.support.edge import SharedEdgeTestCase
from tests.support.styles import AsyncioStyle
from twisted_registry.client import BlockingClient, errors

DATA = b"weights"


def failing(error: BaseException, *pieces: Any) -> Iterator[Any]:
    """
    Return some pieces, and fail.
    """
    yield from pieces
    raise error


def waiting(released: threading.Event) -> Iterator[bytes]:
    """
    Wait before the first piece.
    """
    released.wait()
    yield b""


def _same(data: Any) -> Any:
    return data


async def slowly_failing(error: BaseException, *pieces: Any) -> AsyncIterator[Any]:
    """
    Return some pieces, and fail after a pause.
    """
    for piece in pieces:
        yield piece
    await asyncio.sleep(0.05)
    raise error


class SourceTests(SharedEdgeTestCase):
    """
    Publishing it.
    """

    def setUp(self) -> None:
        """
        Make a model, and a client.
        """
        super().setUp()
        self.client.save_model(self.model_id)
        self.registry = BlockingClient(self.daemon.address)
        self.addCleanup(self.registry.close)

    def assert_not_created(
        self, kind: type[BaseException], source: Callable[[], Any], *arguments: Any, text: str = "", **keywords: Any
    ) -> None:
        """
        Check that nothing is created, neither way, and what is raised.
        """
        for create in (self.registry.publish, self.registry.store):
            with self.assertRaises(kind) as caught:
                create(self.model_id, source(), *arguments, **keywords)
            self.assertIn(text, str(caught.exception))
        self.assertEqual(list(self.registry.versions(self.model_id)), [])

    def test_source_that_fails(self) -> None:
        """
        An exception of a source reaches the caller unchanged, and nothing is created: also if all bytes were sent, and
        if it looks like an error of the client or the server.
        """
        for error in (ValueError("no"), TimeoutError("no"), errors.Unavailable("no"), errors.UnknownModel("other")):
            for pieces in ((b"wei",), (b"wei", b"ghts")):
                at_once, slowly = partial(failing, error, *pieces), partial(slowly_failing, error, *pieces)
                self.assert_not_created(type(error), at_once, size_bytes=len(DATA))
                self.assert_not_created(type(error), at_once, text=str(error))
                self.assert_not_created(type(error), at_once, size_bytes=len(DATA), deadline_seconds=60)
                self.assert_not_created(type(error), slowly, size_bytes=len(DATA))

    def test_source_of_nothing_that_fails(self) -> None:
        """
        So it is where no bytes were to come at all.
        """
        self.assert_not_created(ValueError, partial(slowly_failing, ValueError("no")), size_bytes=0)

    def test_pieces_that_are_not_bytes(self) -> None:
        """
        A piece that is not bytes is an error, and not the end.
        """
        for piece in (None, "text", 7):
            for keywords in ({}, {"size_bytes": len(DATA)}):
                source = partial(iter, [b"wei", piece, b"ghts"])
                self.assert_not_created(TypeError, source, text="a piece of the data", **keywords)

    def test_not_data(self) -> None:
        """
        Objects without bytes are refused, also a mapping, which is iterable.
        """
        for data in ({"layer": DATA}, "weights", 7, None, io.StringIO("weights")):
            self.assert_not_created(TypeError, partial(_same, data), text="cannot be published")

    def test_wrong_size(self) -> None:
        """
        Data of another size than declared is refused, whatever its source is.
        """
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(DATA)
        for size_bytes in (len(DATA) - 1, len(DATA) + 1):
            with open(path, "rb") as file:
                for data in (DATA, file, [DATA]):
                    self.assert_not_created(errors.SizeMismatch, partial(_same, data), size_bytes=size_bytes)

    def test_what_the_wire_cannot_carry(self) -> None:
        """
        Facts that cannot be sent are refused before anything is.
        """
        for user_data in ({"a": 1}, {1: "a"}, {"a": "\ud800"}, {"\ud800": "a"}, {"a": None}):
            self.assert_not_created(errors.InvalidRequest, lambda: DATA, user_data, text="text")
        for created_ns in (-1, 0, 2**64):
            self.assert_not_created(errors.InvalidRequest, lambda: DATA, created_ns=created_ns, text="created_ns")
        self.assert_not_created(errors.InvalidRequest, lambda: iter([DATA]), size_bytes=-1, text="negative")

    def test_pieces_from_another_model(self) -> None:
        """
        Data retrieved piece by piece can be published, also from a blocking client.
        """
        info = self.registry.publish(self.model_id, DATA)
        other = f"{self.model_id}-2"
        self.registry.save_model(other)
        for create in (self.registry.publish, self.registry.store):
            copy = create(other, self.registry.retrieve_chunks(self.model_id, info), size_bytes=info.size_bytes)
            self.assertEqual(copy.sha256, info.sha256)

    def test_client_that_would_wait_for_itself(self) -> None:
        """
        A blocking client that is called where its own calls are made says so, instead of waiting for ever.
        """

        for ask in (lambda: self.registry.latest(self.model_id), lambda: list(self.registry.models())):
            with self.assertRaises(errors.ClientUnusable):
                self.registry.publish(self.model_id, DATA, progress=lambda size_bytes, ask=ask: ask())  # type: ignore[misc]

    def test_names_that_nothing_can_have(self) -> None:
        """
        Models and versions with impossible names do not exist.
        """
        retrieve, version = self.registry.retrieve, self.registry.version
        for ask in (self.registry.model, self.registry.latest, retrieve, self.registry.delete_model):
            self.assertRaises(errors.UnknownModel, ask, "\ud800")
        self.assertRaises(errors.UnknownModel, next, self.registry.track("\ud800"))
        self.assertRaises(errors.UnknownModel, next, self.registry.versions("\ud800"))
        self.assertRaises(errors.InvalidModelId, self.registry.save_model, "\ud800")
        for selector in (2**31, -(2**31), 2**80):
            for ask_for in (retrieve, version):
                self.assertRaises(errors.UnknownVersion, ask_for, self.model_id, selector)

    def test_bytes_in_memory_of_any_shape(self) -> None:
        """
        Memory in row order is published byte for byte, also if it is empty; other memory is refused.
        """
        with mmap.mmap(-1, 4096) as mapped:
            cases: list[Any] = [np.zeros((2, 3)), np.zeros((0, 3)), np.float32(1), mapped, bytearray(b"1")]
            for data in cases:
                info = self.registry.publish(self.model_id, data)
                self.assertEqual(self.registry.retrieve(self.model_id, info), memoryview(data).tobytes())
        self.registry.delete_model(self.model_id)
        self.registry.save_model(self.model_id)
        for array in (np.asfortranarray(np.zeros((2, 3))), np.zeros(10)[::2]):
            self.assert_not_created(TypeError, partial(_same, array), text="ascontiguousarray")

    def test_data_is_let_go(self) -> None:
        """
        Once it is published, nothing is held of the data: it can be changed and closed.
        """
        gc.disable()
        self.addCleanup(gc.enable)
        data = bytearray(DATA)
        for create in (self.registry.publish, self.registry.store):
            create(self.model_id, data)
            data.append(1)

    def test_streams_of_asyncio(self) -> None:
        """
        The output of a process that asyncio runs can be published.
        """
        style = AsyncioStyle(self.daemon.address)
        self.addCleanup(style.close)

        async def scenario() -> None:
            for size_bytes in (None, 1_000_000):
                words = (sys.executable, "-c", "print(end='x' * 1_000_000)")
                process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
                assert process.stdout is not None
                info = await style.client.publish(self.model_id, process.stdout, size_bytes=size_bytes)
                self.assertEqual(await style.client.retrieve(self.model_id, info), b"x" * 1_000_000)
                await process.wait()

        style.run(scenario())

    def test_pipe_by_its_path(self) -> None:
        """
        A pipe that has a path can be published by it.
        """
        path = Path(self.mktemp())
        os.mkfifo(path)
        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(path.write_bytes, DATA)
            info = self.registry.publish(self.model_id, path)
            writing.result(TIMEOUT_SECONDS)
        self.assertEqual(self.registry.retrieve(self.model_id, info), DATA)

    def test_pipe_that_does_not_wait(self) -> None:
        """
        A pipe without data so far is not mistaken for one at its end.
        """
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        with open(reading, "rb", buffering=0) as pipe, open(writing, "wb", buffering=0) as other:
            other.write(DATA)
            self.assert_not_created(BlockingIOError, partial(_same, pipe), size_bytes=2 * len(DATA))

    def test_source_that_ends_the_program(self) -> None:
        """
        An exception that ends the program reaches the caller, from a source or from a progress function, and other
        calls continue.
        """

        def tell(size_bytes: int) -> None:
            raise SystemExit(3)

        for error in (SystemExit(3), KeyboardInterrupt()):
            self.assert_not_created(type(error), partial(slowly_failing, error, b"wei"), size_bytes=len(DATA))
        self.registry.publish(self.model_id, DATA)
        self.assertRaises(SystemExit, self.registry.retrieve, self.model_id, progress=tell)
        self.assertRaises(SystemExit, list, self.registry.retrieve_chunks(self.model_id, progress=tell))
        self.assertEqual(self.registry.retrieve(self.model_id), DATA)

    def test_cancelling_while_the_source_waits(self) -> None:
        """
        A creation can be cancelled, and has a deadline, while its source waits for what does not come.
        """
        reading, writing = os.pipe()
        style = AsyncioStyle(self.daemon.address)
        self.addCleanup(style.close)
        with open(reading, "rb") as pipe, open(writing, "wb"), self.assertRaises(errors.DeadlineExceeded):
            self.registry.publish(self.model_id, pipe, deadline_seconds=0.1)

        async def scenario() -> None:
            released = threading.Event()
            creating = asyncio.ensure_future(style.client.publish(self.model_id, waiting(released)))
            await asyncio.sleep(0.1)
            creating.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await creating
            released.set()

        style.run(scenario())
