"""
The contract of a client, for each face.
"""

import io
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy
from attrs import evolve

from tests.support.client import data_hash
from tests.support.daemon import free_port
from tests.support.edge import SharedEdgeTestCase
from tests.support.styles import Style
from twisted_registry.client import errors

DATA = os.urandom(10_000_000)
"""Several chunks long."""


class ClientContract(SharedEdgeTestCase):
    """
    Run for each style.
    """

    style: ClassVar[Any]

    def setUp(self) -> None:
        """
        Make a client, and a model for most tests.
        """
        super().setUp()
        self.registry = self.make(self.daemon.address)
        self.registry.call("save_model", self.model_id, {"algorithm": "ppo"})

    def make(self, address: str, **options: Any) -> Style:
        """
        Make a client.
        """
        client: Style = self.style(address, **options)
        self.addCleanup(client.close)
        return client

    # Models

    def test_saved_model(self) -> None:
        """
        A model has the metadata that was saved last.
        """
        saved = self.registry.call("save_model", self.model_id, {"algorithm": "sac"})
        self.assertEqual(self.registry.call("model", self.model_id), saved)
        self.assertEqual(saved.metadata, {"algorithm": "sac"})

    def test_models_are_listed_in_pages_nobody_sees(self) -> None:
        """
        All models are listed, also where there are more than go on a page.
        """
        ids = {f"{self.model_id}-{number}" for number in range(230)}
        for model_id in ids:
            self.client.save_model(model_id)
        listed = [model.model_id for model in self.registry.iterate("models")]
        self.assertLessEqual(ids, set(listed))
        self.assertEqual(listed, sorted(set(listed)))

    def test_ensured_model_is_made(self) -> None:
        """
        A missing model is created, with the given metadata.
        """
        other = f"{self.model_id}-2"
        ensured = self.registry.call("ensure_model", other, {"algorithm": "sac"})
        self.assertEqual((ensured.model_id, ensured.metadata), (other, {"algorithm": "sac"}))
        self.assertEqual(self.registry.call("model", other), ensured)

    def test_ensured_model_keeps_what_it_has(self) -> None:
        """
        An existing model keeps its metadata, and gets the missing keys.
        """
        self.registry.call("save_model", self.model_id, {"algorithm": "ppo", "production": "7"})
        ensured = self.registry.call("ensure_model", self.model_id, {"algorithm": "sac", "task": "walk"})
        self.assertEqual(ensured.metadata, {"algorithm": "ppo", "production": "7", "task": "walk"})
        self.assertEqual(self.registry.call("model", self.model_id), ensured)
        self.assertEqual(self.registry.call("ensure_model", self.model_id), ensured)

    def test_updated_model(self) -> None:
        """
        Some metadata of a model is set and removed, and the rest stays.
        """
        self.registry.call("save_model", self.model_id, {"algorithm": "ppo", "production": "7", "owner": "ada"})
        pairs, removed = {"production": "8"}, ["owner", "nothing"]
        updated = self.registry.call("update_model", self.model_id, pairs, remove=removed)
        self.assertEqual(updated.metadata, {"algorithm": "ppo", "production": "8"})
        self.assertEqual(self.registry.call("model", self.model_id), updated)

    def test_unknown_model_is_not_updated(self) -> None:
        """
        To update a model that is not there fails, and makes none.
        """
        other = f"{self.model_id}-2"
        for name in ("update_model", "model"):
            self.assertRaises(errors.UnknownModel, self.registry.call, name, other)

    def test_deleted_model(self) -> None:
        """
        A deleted model no longer exists.
        """
        self.registry.call("delete_model", self.model_id)
        with self.assertRaises(errors.UnknownModel):
            self.registry.call("model", self.model_id)

    # Versions

    def test_published_version_is_transient(self) -> None:
        """
        A published version is transient, and its info is complete.
        """
        info = self.registry.call("publish", self.model_id, DATA, {"step": "1"})
        self.assertEqual((info.model_id, info.version_number, info.archived), (self.model_id, 1, False))
        self.assertEqual((info.size_bytes, info.sha256), (len(DATA), data_hash(DATA)))
        self.assertEqual(info.metadata, {"step": "1"})

    def test_stored_version_is_archived(self) -> None:
        """
        A stored version is archived.
        """
        info = self.registry.call("store", self.model_id, b"weights", {"step": "1"}, created_ns=1_234_567_891)
        self.assertTrue(info.archived)
        self.assertEqual(info.created_ns, 1_234_567_891)
        self.assertEqual(self.registry.call("latest", self.model_id), info)

    def test_bytes_in_memory_of_any_kind(self) -> None:
        """
        Bytes, byte arrays, views and NumPy arrays are published as the bytes they hold.
        """
        array = numpy.arange(1000, dtype=numpy.float32).reshape(10, 100)
        for data in (b"abc", bytearray(b"abc"), memoryview(b"xabc")[1:], array, b""):
            info = self.registry.call("publish", self.model_id, data)
            self.assertEqual(self.registry.call("retrieve", self.model_id, info), bytes(data))

    def test_file_by_its_path(self) -> None:
        """
        A Path is published as what is in the file.
        """
        path = Path(self.mktemp())
        path.write_bytes(DATA)
        self.registry.call("store", self.model_id, path)
        self.assertEqual(self.client.data(self.model_id, 1), DATA)

    def test_open_file_from_where_it_stands(self) -> None:
        """
        An open file is published from where it stands to its end.
        """
        file = io.BytesIO(b"header" + DATA)
        file.seek(6)
        self.registry.call("publish", self.model_id, file)
        self.assertEqual(self.client.data(self.model_id, 1), DATA)

    def test_open_file_at_its_end(self) -> None:
        """
        A file that was written and not rewound is refused, and can be published once it was.
        """
        file = io.BytesIO()
        file.write(DATA)
        for create in ("publish", "store"):
            with self.assertRaises(errors.InvalidRequest) as caught:
                self.registry.call(create, self.model_id, file)
            self.assertIn("seek(0)", str(caught.exception))
        self.assertEqual(list(self.registry.iterate("versions", self.model_id)), [])
        file.seek(0)
        self.assertEqual(self.registry.call("publish", self.model_id, file).sha256, data_hash(DATA))

    def test_file_that_is_saved_meanwhile(self) -> None:
        """
        A file that is written to while it is sent is refused, by its path and open, and no version is there.
        """
        path = Path(self.mktemp())

        def save(size_bytes: int) -> None:
            with path.open("r+b") as file:
                file.write(b"new")
            os.utime(path, ns=(1, 1))  # the clock of the file system may not have moved

        for create in ("publish", "store"):
            path.write_bytes(DATA)
            with path.open("rb") as file:
                for data in (path, file):
                    with self.assertRaises(errors.DataChanged) as caught:
                        self.registry.call(create, self.model_id, data, progress=save)
                    self.assertIn("rename", str(caught.exception))
                    os.utime(path, ns=(2, 2))
        self.assertEqual(list(self.registry.iterate("versions", self.model_id)), [])

    def test_pipe(self) -> None:
        """
        A file that cannot be read twice is gathered, and published.
        """
        reader, writer = os.pipe()
        os.write(writer, b"through a pipe")
        os.close(writer)
        with open(reader, "rb") as file:
            self.registry.call("publish", self.model_id, file)
        self.assertEqual(self.client.data(self.model_id, 1), b"through a pipe")

    def test_pieces(self) -> None:
        """
        Pieces from an iterable, an iterator, or an asynchronous one are published, with or without a given size.
        """

        async def later() -> AsyncIterator[bytes]:
            yield DATA[:5_000_000]
            yield b""
            yield DATA[5_000_000:]

        def now() -> Iterator[bytes]:
            yield DATA[:1]
            yield DATA[1:]

        for size_bytes in (None, len(DATA)):
            for pieces in ([DATA[:7], DATA[7:]], now(), later()):
                info = self.registry.call("publish", self.model_id, pieces, size_bytes=size_bytes)
                self.assertEqual(info.sha256, data_hash(DATA))

    def test_iterable_of_another_size(self) -> None:
        """
        Pieces of more or fewer bytes than declared are refused, and no version exists.
        """
        for size_bytes in (2, 4):
            with self.assertRaises(errors.SizeMismatch):
                self.registry.call("publish", self.model_id, iter([b"a", b"bc"]), size_bytes=size_bytes)
        self.assertEqual(list(self.registry.iterate("versions", self.model_id)), [])

    def test_what_cannot_be_published(self) -> None:
        """
        A str is nothing that can be published, nor is a number.
        """
        for data in ("abc", 7, ["a"]):
            with self.assertRaises(TypeError):
                self.registry.call("publish", self.model_id, data)

    def test_source_that_fails(self) -> None:
        """
        The caller gets the exception of an iterator, and no version exists.
        """

        def pieces() -> Iterator[bytes]:
            yield b"a"
            raise ZeroDivisionError

        with self.assertRaises(ZeroDivisionError):
            self.registry.call("publish", self.model_id, pieces(), size_bytes=2)
        self.assertEqual(list(self.registry.iterate("versions", self.model_id)), [])

    def test_version_by_selector(self) -> None:
        """
        A version is found by its number, and by how far it is from the latest.
        """
        infos = [self.registry.call("publish", self.model_id, bytes([number])) for number in range(3)]
        self.assertEqual(self.registry.call("version", self.model_id, 2), infos[1])
        self.assertEqual(self.registry.call("version", self.model_id, -3), infos[0])
        self.assertEqual(self.registry.call("latest", self.model_id), infos[2])

    def test_versions_are_listed_in_pages_nobody_sees(self) -> None:
        """
        All versions are listed in their order, or those from a number on, however many there are.
        """
        for _ in range(230):
            self.client.create(self.model_id, b"", archived=True)
        listed = [info.version_number for info in self.registry.iterate("versions", self.model_id)]
        self.assertEqual(listed, list(range(1, 231)))
        self.assertEqual(len(list(self.registry.iterate("versions", self.model_id, 229))), 2)

    # Data

    def test_data_by_number_selector_and_info(self) -> None:
        """
        Data is retrieved by number, by selector, by info, and of the latest where nothing is said.
        """
        info = self.registry.call("publish", self.model_id, DATA)
        for version in ((1,), (-1,), (info,), ()):
            self.assertEqual(self.registry.call("retrieve", self.model_id, *version), DATA)

    def test_data_by_an_info_from_elsewhere(self) -> None:
        """
        Data that does not have the hash given by the caller is refused, however it is retrieved.
        """
        info = self.registry.call("publish", self.model_id, DATA)
        wrong = evolve(info, sha256=data_hash(b"other"))
        path = Path(self.mktemp())
        for name, *arguments in (("retrieve", wrong), ("retrieve_file", path, wrong)):
            self.assertRaises(errors.CorruptTransfer, self.registry.call, name, self.model_id, *arguments)
        with self.assertRaises(errors.CorruptTransfer):
            list(self.registry.iterate("retrieve_chunks", self.model_id, wrong))
        self.assertFalse(path.exists())

    def test_archived_data(self) -> None:
        """
        Archived data is retrieved as it was stored.
        """
        self.registry.call("store", self.model_id, DATA)
        self.assertEqual(self.registry.call("retrieve", self.model_id, 1), DATA)

    def test_chunks(self) -> None:
        """
        Data can be had as it comes.
        """
        self.registry.call("publish", self.model_id, DATA)
        chunks = [bytes(chunk) for chunk in self.registry.iterate("retrieve_chunks", self.model_id, 1)]
        self.assertGreater(len(chunks), 1)
        self.assertEqual(b"".join(chunks), DATA)

    def test_no_data_at_all(self) -> None:
        """
        A version of no bytes is retrieved as none.
        """
        self.registry.call("publish", self.model_id, b"")
        self.assertEqual(self.registry.call("retrieve", self.model_id), b"")
        self.assertEqual(list(self.registry.iterate("retrieve_chunks", self.model_id)), [])

    def test_data_into_a_file(self) -> None:
        """
        Data is written to a file, which replaces the one there was, and nothing else is left in its folder.
        """
        info = self.registry.call("store", self.model_id, DATA)
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "model").write_bytes(b"old")
        self.assertEqual(self.registry.call("retrieve_file", self.model_id, folder / "model"), info)
        self.assertEqual((folder / "model").read_bytes(), DATA)
        self.assertEqual([path.name for path in folder.iterdir()], ["model"])

    def test_progress(self) -> None:
        """
        Progress reports all bytes, in both directions.
        """
        sent: list[int] = []
        received: list[int] = []
        self.registry.call("publish", self.model_id, DATA, progress=sent.append)
        self.registry.call("retrieve", self.model_id, progress=received.append)
        self.assertEqual((sum(sent), sum(received)), (len(DATA), len(DATA)))
        self.assertGreater(min(len(sent), len(received)), 1)

    # Errors

    def test_errors_are_those_of_the_server(self) -> None:
        """
        A call fails with the error that the server raised, and its facts.
        """
        cases: list[tuple[type[errors.RegistryError], dict[str, object], tuple[Any, ...]]] = [
            (errors.UnknownModel, {"model_id": "nobody"}, ("latest", "nobody")),
            (errors.UnknownModel, {"model_id": "nobody"}, ("publish", "nobody", DATA)),
            (errors.UnknownModel, {"model_id": "nobody"}, ("delete_model", "nobody")),
            (errors.UnknownVersion, {"selector": 9}, ("retrieve", self.model_id, 9)),
            (errors.UnknownVersion, {"selector": -1}, ("retrieve", self.model_id)),
            (errors.UnknownVersion, {"selector": 0}, ("version", self.model_id, 0)),
            (errors.InvalidModelId, {"model_id": "a\n"}, ("save_model", "a\n")),
            (errors.InvalidRequest, {}, ("save_model", self.model_id, {"k": "v" * 300_000})),
        ]
        for kind, facts, (name, *arguments) in cases:
            with self.assertRaises(kind) as caught:
                self.registry.call(name, *arguments)
            for fact, value in facts.items():
                self.assertEqual(getattr(caught.exception, fact), value)

    def test_nobody_listens(self) -> None:
        """
        If no server listens, a call fails with an error that says so and names the address.
        """
        address = f"127.0.0.1:{free_port()}"
        with self.assertRaises(errors.Unreachable) as caught:
            self.make(address, retry_seconds=0).call("latest", self.model_id)
        self.assertIn(address, str(caught.exception))

    def test_closed_client(self) -> None:
        """
        A closed client says that it is closed.
        """
        client = self.make(self.daemon.address)
        client.call("is_serving")
        client.call("close")
        with self.assertRaises(errors.ClientUnusable):
            client.call("latest", self.model_id)

    # The server

    def test_about_the_server(self) -> None:
        """
        A client returns what the server reports about itself.
        """
        self.assertIn("twisted-registry", self.registry.call("server_versions"))
        self.assertIn("uptime_seconds", self.registry.call("statuses", "*"))
        self.assertTrue(self.registry.call("is_serving"))
