"""
Tests for the command ``push``.
"""

import fcntl
import json
import os
import signal
import struct
import termios
from pathlib import Path

from tests.support.cli import invoke, run, started
from tests.support.client import data_hash
from tests.support.daemon import TIMEOUT_SECONDS
from tests.support.edge import SharedEdgeTestCase
from twisted_registry.client import BlockingClient

NOTHING = b"twisted-registry: interrupted: no version was created\n"


class PushTests(SharedEdgeTestCase):
    """
    Creation of versions.
    """

    def file(self, data: bytes) -> Path:
        """
        Write a file.
        """
        path = Path(self.mktemp())
        path.write_bytes(data)
        return path

    def test_file(self) -> None:
        """
        A file becomes a transient version, and a line has its number, size and kind.
        """
        self.client.save_model(self.model_id)
        done = invoke(self.daemon.address, "push", self.model_id, self.file(b"x" * 1500))
        self.assertEqual((done.exit_code, done.stderr), (0, ""))
        self.assertEqual(done.stdout, f"{self.model_id}@1  1.5 kB  transient\n")
        self.assertEqual(self.client.data(self.model_id, 1), b"x" * 1500)

    def test_archive_and_user_data(self) -> None:
        """
        With --archive the version is archived; its metadata may have empty values and values with =.
        """
        self.client.save_model(self.model_id)
        pairs = ("-u", "loss=0.03", "--user-data", "note=", "-u", "query=a=b")
        done = invoke(self.daemon.address, "push", "--archive", *pairs, self.model_id, self.file(b"data"))
        self.assertEqual(done.stdout, f"{self.model_id}@1  4 bytes  archived\n")
        latest = self.client.latest(self.model_id)
        self.assertEqual(dict(latest.user_data), {"loss": "0.03", "note": "", "query": "a=b"})
        self.assertTrue(latest.archived)

    def test_details(self) -> None:
        """
        Labels, metrics and aliases are set with the version, for a file and for a pipe.
        """
        self.client.save_model(self.model_id)
        options = ("--label", "task=walk", "--label", "note=", "--metric", "return=203.5", "--metric", "loss=-inf")
        done = invoke(self.daemon.address, "push", *options, self.model_id, self.file(b"data"))
        self.assertEqual((done.exit_code, done.stderr), (0, ""))
        aliases = ("--alias", "production", "--alias", "canary", "--reason", "better")
        push = ("push", "--archive", *options, *aliases, self.model_id)
        done = invoke(self.daemon.address, *push, "-", data=b"data")
        self.assertEqual((done.exit_code, done.stderr), (0, ""))
        with BlockingClient(self.daemon.address) as client:
            records = list(client.search(self.model_id))
            moves = list(client.alias_moves(self.model_id))
        for record in records:
            self.assertEqual(record.labels, {"task": "walk", "note": ""})
            self.assertEqual(record.metrics, {"return": 203.5, "loss": float("-inf")})
        self.assertEqual([record.aliases for record in records], [(), ("canary", "production")])
        self.assertEqual({move.reason for move in moves}, {"better"})

    def test_details_that_do_not_fit(self) -> None:
        """
        Options that are malformed, or do not fit the others, are usage errors: nothing is sent.
        """
        self.client.save_model(self.model_id)
        for options, said in (
            (("--label", "task"), "not KEY=VALUE"),
            (("--metric", "return-"), "not NAME=NUMBER"),
            (("--metric", "return=x"), "not a number"),
            (("--archive", "--alias", "latest"), "choose another name"),
            (("--alias", "production"), "--alias needs --archive"),
            (("--archive", "--reason", "x"), "it needs --alias"),
        ):
            done = invoke(self.daemon.address, "push", *options, self.model_id, self.file(b"data"))
            self.assertEqual((done.exit_code, done.stdout), (2, ""))
            self.assertIn(said, done.stderr)
        self.assertEqual(len(self.client.infos(self.model_id).version_infos), 0)

    def test_json(self) -> None:
        """
        With --json the version is an object with the API's fields and an exact time in RFC 3339 format.
        """
        self.client.save_model(self.model_id)
        done = invoke(self.daemon.address, "push", "--json", self.model_id, self.file(b"data"), "-u", "a=b")
        version = json.loads(done.stdout)
        self.assertRegex(version.pop("created"), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$")
        self.assertEqual(version.pop("created_ns"), self.client.latest(self.model_id).creation_timestamp)
        expected = {"model_id": self.model_id, "version_number": 1, "archived": False, "size_bytes": 4}
        self.assertEqual(version, {**expected, "data_hash": data_hash(b"data"), "user_data": {"a": "b"}})

    def test_stdin(self) -> None:
        """
        For - the data is read from stdin: from a pipe to its end, from a file from its position.
        """
        self.client.save_model(self.model_id)
        data = os.urandom(3_000_000)
        self.assertEqual(run(self.daemon.address, "push", self.model_id, "-", input=data).returncode, 0)
        with self.file(data).open("rb") as file:
            file.seek(1_000_000)
            self.assertEqual(run(self.daemon.address, "push", self.model_id, "-", stdin=file).returncode, 0)
        self.assertEqual(self.client.data(self.model_id, 1), data)
        self.assertEqual(self.client.data(self.model_id, 2), data[1_000_000:])

    def test_empty_file(self) -> None:
        """
        An empty file is a version without bytes.
        """
        self.client.save_model(self.model_id)
        done = invoke(self.daemon.address, "push", self.model_id, self.file(b""))
        self.assertEqual(done.stdout, f"{self.model_id}@1  0 bytes  transient\n")

    def test_pipe_of_nothing(self) -> None:
        """
        An empty pipe, as after a failed command, is 1, and no version is created.
        """
        self.client.save_model(self.model_id)
        done = run(self.daemon.address, "push", self.model_id, "-", input=b"")
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"contains no pieces", done.stderr)
        self.assertEqual(len(self.client.infos(self.model_id).version_infos), 0)

    def test_file_at_its_end(self) -> None:
        """
        A file at its end is 1 too.
        """
        self.client.save_model(self.model_id)
        with self.file(b"data").open("rb") as file:
            file.seek(4)
            done = run(self.daemon.address, "push", self.model_id, "-", stdin=file)
        self.assertEqual((done.returncode, b"the file is at its end, after 4 bytes" in done.stderr), (1, True))

    def test_create(self) -> None:
        """
        With --create a missing model is created, and an existing one keeps its metadata.
        """
        path = self.file(b"data")
        self.assertEqual(invoke(self.daemon.address, "push", "--create", self.model_id, path).exit_code, 0)
        self.client.save_model(self.model_id, algorithm="ppo")
        self.assertEqual(invoke(self.daemon.address, "push", "--create", self.model_id, path).exit_code, 0)
        (model,) = self.client.models(self.model_id).model_infos
        self.assertEqual(dict(model.user_data), {"algorithm": "ppo"})

    def test_unknown_model(self) -> None:
        """
        Without --create an unknown model is 1, and the line names --create.
        """
        done = invoke(self.daemon.address, "push", self.model_id, self.file(b""))
        self.assertEqual((done.exit_code, done.stdout), (1, ""))
        self.assertIn("--create", done.stderr)

    def test_local_files(self) -> None:
        """
        A missing file and a directory are 2, and no model is created.
        """
        for path in (self.mktemp(), "."):
            done = invoke(self.daemon.address, "push", "--create", self.model_id, path)
            self.assertEqual(done.exit_code, 2)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertNotEqual(invoke(self.daemon.address, "info", self.model_id).exit_code, 0)

    def test_folder(self) -> None:
        """
        For a directory the line explains how to push it.
        """
        done = invoke(self.daemon.address, "push", self.model_id, ".")
        self.assertIn("tar -c . | twisted-registry push MODEL -", done.stderr)

    def test_companions(self) -> None:
        """
        Neighboring files that are not pushed are named on stderr, and the file is pushed.
        """
        self.client.save_model(self.model_id)
        folder = Path(self.mktemp())
        folder.mkdir()
        for name in ("m.onnx", "m.onnx.data"):
            (folder / name).write_bytes(b"x")
        done = invoke(self.daemon.address, "push", self.model_id, folder / "m.onnx")
        self.assertEqual((done.exit_code, done.stdout), (0, f"{self.model_id}@1  1 byte  transient\n"))
        self.assertRegex(done.stderr, r"^twisted-registry: warning: m\.onnx\.data next to m\.onnx .*\n$")

    def test_no_number(self) -> None:
        """
        A version number is refused as it was typed, because the registry assigns it.
        """
        for version in ("3", "v3", "latest"):
            reference = f"{self.model_id}@{version}"
            done = invoke(self.daemon.address, "push", reference, self.file(b""))
            self.assertEqual(done.exit_code, 2)
            self.assertIn(f"'{reference}' names a version: the registry assigns version numbers", done.stderr)

    def test_odd_pairs(self) -> None:
        """
        Metadata that is not KEY=VALUE, or not text, is refused with 2.
        """
        for pair in ("loss", "=3", "a=\udcff"):
            done = invoke(self.daemon.address, "push", self.model_id, self.file(b""), "-u", pair)
            self.assertEqual(done.exit_code, 2, pair)

    def end(self, number: signal.Signals) -> tuple[int, bytes]:
        """
        Send a signal while stdin is idle, and return the status and stderr.
        """
        self.client.save_model(self.model_id)
        reads, writes = os.pipe()
        self.addCleanup(os.close, writes)
        self.addCleanup(os.close, reads)
        with started(self.daemon.address, "push", self.model_id, "-", stdin=reads) as process:
            os.write(writes, b"x")
            self.wait_until_true(lambda: _is_empty(reads), "it reads")
            process.send_signal(number)
            status = process.wait(TIMEOUT_SECONDS)
            assert process.stderr is not None
            return status, process.stderr.read()

    def test_interrupted(self) -> None:
        """
        Ctrl-C while stdin is idle: 130 at once, and a line that no version was created.
        """
        self.assertEqual(self.end(signal.SIGINT), (130, NOTHING))
        self.assertEqual(len(self.client.infos(self.model_id).version_infos), 0)

    def test_terminated(self) -> None:
        """
        SIGTERM while stdin is idle: 143; SIGHUP, of a closed terminal: 129.
        """
        self.assertEqual(self.end(signal.SIGTERM), (143, NOTHING))
        self.assertEqual(self.end(signal.SIGHUP), (129, NOTHING))


def _is_empty(pipe: int) -> bool:
    return bool(struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4))[0] == 0)
