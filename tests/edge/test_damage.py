"""
Tests for archives with damaged versions: requests for them report the damage, and other versions are not affected.
"""

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from random import Random
from typing import ClassVar

import grpc
from grpc import StatusCode

from tests.support.archive_files import version_yaml, write_model, write_version
from tests.support.client import data_hash
from tests.support.edge import EdgeTestCase, SharedEdgeTestCase

CHUNK = 1000
DATA = Random(1).randbytes(2500)


def flip(path: Path, position: int) -> None:
    """
    Change a bit of a file.
    """
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def rewrite(old: str, new: str) -> Callable[[Path], None]:
    """
    Return a function that replaces a text in a version's metadata.
    """

    def damage(data: Path) -> None:
        yaml = data.with_suffix(".yaml")
        text = yaml.read_text()
        assert old in text
        yaml.write_text(text.replace(old, new))

    return damage


def overwrite(content: bytes) -> Callable[[Path], None]:
    """
    Return a function that replaces a version's metadata.
    """
    return lambda data: void(data.with_suffix(".yaml").write_bytes(content))


def void(_: object) -> None:
    """
    Drop a result.
    """


def make_directory(path: Path) -> None:
    """
    Put a directory in a file's place.
    """
    path.unlink()
    path.mkdir()


def make_link_to_nothing(path: Path) -> None:
    """
    Put a link to nowhere in a file's place.
    """
    path.unlink()
    path.symlink_to("nothing")


VISIBLE_DAMAGE: Mapping[str, Callable[[Path], None]] = {
    "data-cut": lambda data: os.truncate(data, len(DATA) - 1),
    "data-emptied": lambda data: os.truncate(data, 0),
    "data-longer": lambda data: void(data.write_bytes(DATA + b"x")),
    "data-removed": lambda data: data.unlink(),
    "data-directory": make_directory,
    "data-link-to-nothing": make_link_to_nothing,
    "yaml-empty": overwrite(b""),
    "yaml-garbage": overwrite(bytes(range(256))),
    "yaml-zeroes": overwrite(bytes(300)),
    "yaml-cut": lambda data: os.truncate(data.with_suffix(".yaml"), 60),
    "yaml-list": overwrite(b"- 1\n- 2\n"),
    "yaml-text": overwrite(b"hello"),
    "yaml-other": overwrite(b"a: 1\n"),
    "yaml-deep": overwrite(b"user_data: " + b"[" * 100_000),
    "yaml-two-documents": lambda data: void(data.with_suffix(".yaml").open("a").write("---\nx: 1\n")),
    "yaml-directory": lambda data: make_directory(data.with_suffix(".yaml")),
    "hash-missing": rewrite("data_hash: ", "hash: "),
    "hash-no-base64": rewrite(data_hash(DATA), "?" * 44),
    "hash-short": rewrite(data_hash(DATA), "AAAA"),
    "size-other": rewrite(f"data_size: {len(DATA)}", f"data_size: {len(DATA) + 1}"),
    "size-huge": rewrite(f"data_size: {len(DATA)}", "data_size: 999999999999999999"),
    "size-negative": rewrite(f"data_size: {len(DATA)}", "data_size: -1"),
    "size-text": rewrite(f"data_size: {len(DATA)}", "data_size: many"),
    "time-none": rewrite("2021-10-01T22:10:05.1074546+02:00", "yesterday"),
    "time-impossible": rewrite("2021-10-01", "2021-13-32"),
    "user-data-list": rewrite("user_data: {}", "user_data: [1, 2]"),
    "user-data-nested": rewrite("user_data: {}", "user_data: {a: {b: c}}"),
}
"""Damage that is visible without reading all the data, by name."""


class DamagedVersionTests(SharedEdgeTestCase):
    """
    A model for each damage: version 1 is whole, 2 and 3 have the damage.
    """

    flags = ("--sent-model-version-data-chunk-size", str(CHUNK))

    def prepare(self) -> None:
        """
        Lay out the models, and the damage.
        """
        for name, damage in VISIBLE_DAMAGE.items():
            folder = write_model(self.archive, name)
            write_version(folder, 1, b"whole")
            for number in (2, 3):
                damage(write_version(folder, number, DATA))

    def test_asked_for_by_number(self) -> None:
        """
        A damaged version that is asked for is DATA_LOSS, and the text names model and version.
        """
        for name in VISIBLE_DAMAGE:
            for number in (2, 3):
                for call in (partial(self.client.infos, name, number), partial(self.client.data, name, number)):
                    self.assert_refused(StatusCode.DATA_LOSS, call, f"version {number} ", repr(name))
            self.assert_refused(StatusCode.DATA_LOSS, partial(self.client.infos, name, 1, 3))

    def test_the_latest_is_not_silently_an_older_one(self) -> None:
        """
        A damaged version counts: it may be the latest, and selectors count back from it.
        """
        for name in VISIBLE_DAMAGE:
            for selector, number in ((-1, 3), (-2, 2)):
                for call in (partial(self.client.infos, name, selector), partial(self.client.data, name, selector)):
                    self.assert_refused(StatusCode.DATA_LOSS, call, f"version {number} ", repr(name))
            self.assertEqual(self.client.data(name, -3), b"whole")
            self.assert_refused(StatusCode.NOT_FOUND, partial(self.client.infos, name, -4))

    def test_lists_skip_it(self) -> None:
        """
        A list has the intact versions, and the log reports the others once.
        """
        for name in VISIBLE_DAMAGE:
            for _ in range(2):
                infos = self.client.infos(name).version_infos
                self.assertEqual([info.version_number for info in infos], [1], name)
            self.assertEqual(self.client.data(name, 1), b"whole")
            for number in (2, 3):
                line = f"version {number} of model {name!r} is damaged"
                self.wait_until_logged(line)
                self.assertEqual(self.daemon.log.count(line), 1)


class WrongDataTests(SharedEdgeTestCase):
    """
    Data of the right size that is not what was stored.
    """

    flags = ("--sent-model-version-data-chunk-size", str(CHUNK))

    SIZES: ClassVar[list[int]] = [1, CHUNK, CHUNK + 1, 2 * CHUNK, len(DATA)]

    def prepare(self) -> None:
        """
        Lay out a model for each size, with a bit flipped at either end, and with another's hash.
        """
        for size in self.SIZES:
            folder = write_model(self.archive, f"m{size}")
            for number, position in enumerate((0, size // 2, size - 1), start=1):
                flip(write_version(folder, number, DATA[:size]), position)
        folder = write_model(self.archive, "other-hash")
        write_version(folder, 1, DATA, version_yaml("other-hash", 1, DATA[::-1]))
        write_version(folder, 2, b"", version_yaml("other-hash", 2, b""))
        write_version(folder, 3, b"", version_yaml("other-hash", 3, b"x").replace("data_size: 1", "data_size: 0"))
        write_version(folder, 4, b"").unlink()

    def received(self, model_id: str, number: int) -> int:
        """
        Return how many bytes arrive before DATA_LOSS.
        """
        received = 0
        try:
            for chunk in self.client.chunks(model_id, number):
                received += len(chunk)
        except grpc.RpcError as error:
            code, text = error.code(), str(error.details())
            self.assertEqual(code, StatusCode.DATA_LOSS, text)
            self.assertIn(f"version {number} ", text)
            self.assertIn(repr(model_id), text)
            return received
        raise self.failureException(f"version {number} of {model_id} came whole")

    def test_nobody_holds_wrong_bytes_whole(self) -> None:
        """
        Wrong data ends with DATA_LOSS before its last chunk, each time it is read.
        """
        for size in self.SIZES:
            for number in (1, 2, 3):
                for _ in range(2):
                    received = self.received(f"m{size}", number)
                    self.assertLess(received, size)
                    self.assertEqual(received % CHUNK, 0)

    def test_other_hash(self) -> None:
        """
        So does data whose metadata tells another's hash, even where there are no bytes at all.
        """
        self.assertLess(self.received("other-hash", 1), len(DATA))
        self.assertEqual(list(self.client.chunks("other-hash", 2)), [b""])
        self.assertEqual(self.received("other-hash", 3), 0)

    def test_missing_data_of_no_bytes(self) -> None:
        """
        A version without bytes whose data is missing is damaged like any other.
        """
        self.assertEqual(self.received("other-hash", 4), 0)
        self.assert_refused(StatusCode.DATA_LOSS, lambda: self.client.infos("other-hash", 4), "version 4 ")

    def test_infos_are_not_damaged(self) -> None:
        """
        A list does not read the data, and has such versions.
        """
        for size in self.SIZES:
            infos = self.client.infos(f"m{size}").version_infos
            self.assertEqual([info.data_size for info in infos], [size] * 3)


class DamagedMeanwhileTests(EdgeTestCase):
    """
    Damage done to what a running daemon has stored and does not hold in memory.
    """

    flags = ("--sent-model-version-data-chunk-size", str(CHUNK), "--version-cache-max-bytes", str(2 * len(DATA)))

    def test_found_when_it_is_read(self) -> None:
        """
        Data that was changed, cut or removed under a running daemon is DATA_LOSS; the rest is served, and new versions
        go on above.
        """
        self.client.save_model("m")
        for _ in range(4):
            self.client.create("m", DATA, archived=True)
        files = sorted((self.archive / "m").glob("*.data"))
        flip(files[0], len(DATA) - 1)
        os.truncate(files[1], len(DATA) // 2)
        files[2].unlink()
        for number in (1, 2, 3):
            self.assert_refused(
                StatusCode.DATA_LOSS, partial(self.client.data, "m", number), f"version {number} ", "'m'"
            )
        self.assertEqual(self.client.data("m", 4), DATA)
        self.assertEqual(self.client.create("m", DATA, archived=True).version_number, 5)
        self.assertEqual(self.client.data("m", -1), DATA)

    def test_new_versions_after_damage(self) -> None:
        """
        After a start a new version goes above damaged ones, and is the latest.
        """
        self.client.save_model("m")
        for _ in range(2):
            self.client.create("m", DATA, archived=True)
        self.daemon.stop()
        (self.archive / "m" / "m-v000002.yaml").write_bytes(b"\xff")
        self.daemon = self.start_daemon()
        self.client = self.connect()
        self.assert_refused(StatusCode.DATA_LOSS, lambda: self.client.latest("m"))
        self.assertEqual(self.client.create("m", b"new", archived=True).version_number, 3)
        self.assertEqual(self.client.latest("m").version_number, 3)
        self.assertEqual([info.version_number for info in self.client.infos("m").version_infos], [1, 3])
