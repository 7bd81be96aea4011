"""
Tests of the line that interrupted commands print about their outcome.
"""

import contextlib
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

from twisted.trial import unittest

from tests.support.cli import Terminal, interrupt, run, settings, started
from tests.support.client import data_hash
from tests.support.daemon import TIMEOUT_SECONDS, free_port
from tests.support.edge import SharedEdgeTestCase
from tests.support.holds import HeldArchiveTestCase
from twisted_registry.cli.commands.push import Creation
from twisted_registry.cli.commands.rm import deletion_outcome
from twisted_registry.cli.commands.set_ import update_outcome
from twisted_registry.cli.details_options import Details
from twisted_registry.cli.server import Server
from twisted_registry.cli.unfinished_pushes import remember
from twisted_registry.client._transfer.part_file import part_name
from twisted_registry.client.errors import (
    CreationUncertain,
    HashMismatch,
    InvalidRequest,
    ModelReplaced,
    Overloaded,
    RegistryError,
    StorageFull,
    Unavailable,
)
from twisted_registry.domain.models import ModelInfo


def line(text: str) -> bytes:
    """
    Return the line on stderr for an outcome.
    """
    return f"twisted-registry: interrupted: {text}\n".encode()


class TransferTests(HeldArchiveTestCase):
    """
    Transfers that the archive delays.
    """

    flags: ClassVar = ["--version-cache-max-bytes", "1000"]

    def setUp(self) -> None:
        """
        Make a version that is not in memory, and a directory.
        """
        super().setUp()
        self.client.save_model("m")
        self.client.create("m", bytes(10_000_000), archived=True)
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.path = self.folder / "model"

    def begin_pull(self, *file: "str | Path") -> "subprocess.Popen[bytes]":
        """
        Start to pull, until the data would arrive.
        """
        self.holds.hold("read")
        self.addCleanup(self.holds.release, "read")
        process = self.start("pull", "m", *(file or (self.path,)))
        self.wait_for_calls("read")
        return process

    def start(self, *arguments: "str | Path", **options: Any) -> "subprocess.Popen[bytes]":
        """
        Start a command, which is killed after the test.
        """
        stack = ExitStack()
        self.addCleanup(stack.close)
        return stack.enter_context(started(self.daemon.address, *arguments, **options))

    def test_pull_new(self) -> None:
        """
        A file that did not exist is not created.
        """
        self.assertEqual(interrupt(self.begin_pull()), (130, line(f"{self.path} was not created")))
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_pull_old(self) -> None:
        """
        An existing file is unchanged, also behind a link.
        """
        self.path.write_bytes(b"before")
        link = self.folder / "link"
        link.symlink_to("model")
        self.assertEqual(interrupt(self.begin_pull(link)), (130, line(f"{link} is unchanged")))
        self.assertEqual({path.name for path in self.folder.iterdir()}, {"model", "link"})
        self.assertEqual(self.path.read_bytes(), b"before")

    def test_pull_goes_on(self) -> None:
        """
        The line says how much is kept, and the next pull goes on from there.
        """
        part = self.folder / part_name("model", data_hash(bytes(10_000_000)))
        part.write_bytes(bytes(6_000_000))
        part.chmod(0o600)
        process = self.begin_pull()
        kept = f"; 6.0 MB of 10.0 MB are kept in {part.name}, and the next pull goes on from there"
        self.assertEqual(interrupt(process), (130, line(f"{self.path} was not created{kept}")))
        self.holds.release("read")
        self.assertEqual(run(self.daemon.address, "pull", "m", self.path).returncode, 0)
        self.assertEqual([path.name for path in self.folder.iterdir()], ["model"])
        self.assertEqual(self.path.read_bytes(), bytes(10_000_000))

    def test_pull_to_stdout(self) -> None:
        """
        Output to a stream may be incomplete.
        """
        self.assertEqual(interrupt(self.begin_pull("-")), (130, line("the data written to stdout may be incomplete")))

    def test_pull_terminated(self) -> None:
        """
        SIGTERM is an interruption too.
        """
        process = self.begin_pull()
        process.terminate()
        self.assertEqual(process.wait(TIMEOUT_SECONDS), 128 + signal.SIGTERM)
        assert process.stderr is not None
        self.assertEqual(process.stderr.read(), line(f"{self.path} was not created"))

    def test_watch(self) -> None:
        """
        A watch that pulls reports which version the file contains.
        """
        process = self.start("watch", "--pull", self.path, "m")
        assert process.stdout is not None
        self.assertTrue(process.stdout.readline().startswith(b"m@1 "))
        self.holds.hold("read")
        self.addCleanup(self.holds.release, "read")
        self.client.create("m", bytes(5_000_000), archived=True)
        self.wait_for_calls("read")
        self.assertEqual(interrupt(process), (130, line(f"{self.path} contains m@1")))
        self.assertEqual(self.path.stat().st_size, 10_000_000)

    def begin_push(self, held_call: str, size_bytes: int, model_id: str, count: int = 1) -> "subprocess.Popen[bytes]":
        """
        Begin a push of stdin, up to the point where the server holds it.

        Args:
            count: the number of calls held by then.
        """
        with self.path.open("wb") as file:
            file.truncate(size_bytes)
        self.holds.hold(held_call)
        self.addCleanup(self.holds.release, held_call)
        with self.path.open("rb") as file:
            process = self.start("push", "--create", "--archive", model_id, "-", stdin=file)
        self.wait_for_calls(held_call, count)
        return process

    def test_push_in_the_middle(self) -> None:
        """
        If much data is still to be sent, no version exists, and a model that was created for it is named.
        """
        process = self.begin_push("write", 100_000_000, "m")
        self.assertEqual(interrupt(process), (130, line("no version was created")))
        process = self.begin_push("write", 100_000_000, "new", 2)
        self.assertEqual(interrupt(process), (130, line("no version was created; model new was, and has no versions")))

    def test_push_at_the_end(self) -> None:
        """
        If everything was sent and the registry has not answered, the outcome is unknown, and the line says how to find
        out.
        """
        status, said = interrupt(self.begin_push("commit", 1000, "m"))
        self.assertEqual(status, 130)
        self.assertRegex(
            said.decode(),
            r"^twisted-registry: interrupted: it is not known whether a version was created: if so, 'twisted-registry "
            r"versions m' lists one of \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ\n$",
        )


class OutcomeTests(SharedEdgeTestCase):
    """
    The outcome of interrupted calls.
    """

    def server(self) -> Server:
        """
        Return the registry as a command's server.
        """
        return Server(self.daemon.address)

    def test_push(self) -> None:
        """
        A version with the creation time of the one sent was created.
        """
        self.client.save_model(self.model_id)
        creation = Creation(self.server(), self.model_id, 5_000_000_000)
        creation.left_bytes = 0
        self.client.create(self.model_id, b"other")
        self.assertIn("it is not known", creation.outcome())
        self.client.create(self.model_id, b"this", creation_timestamp=5_000_000_000)
        self.client.create(self.model_id, b"another")
        self.assertEqual(creation.outcome(), f"{self.model_id}@2 was created")

    def test_push_with_details(self) -> None:
        """
        A version with labels has the registry's time, and is not recognized: the sentence says from when on it may be.
        """
        self.client.save_model(self.model_id)
        creation = Creation(self.server(), self.model_id, 5_000_000_000, left_bytes=0, details=Details({"a": "b"}))
        self.client.create(self.model_id, b"other", creation_timestamp=5_000_000_000)
        self.assertIn("lists one of 1970-01-01 00:00:05Z or later", creation.outcome())

    def test_large_push(self) -> None:
        """
        If everything of a large file was sent and the registry has not answered, the same push again is safe.
        """
        self.client.save_model(self.model_id)
        path = Path(self.mktemp())
        path.write_bytes(bytes(9_000_000))
        self.patch(os, "environ", {**os.environ, **settings(self.daemon.address)})
        unfinished = remember(self.daemon.address, self.model_id, path, False, [])
        assert unfinished is not None
        self.addCleanup(unfinished.forget)
        creation = Creation(self.server(), self.model_id, unfinished=unfinished, left_bytes=0)
        said = "it is not known whether a version was created: the same push again goes on, and creates no second one"
        self.assertEqual(creation.outcome(), said)
        with self.server().client() as client:
            client.publish(self.model_id, path, idempotency_key=unfinished.key)
        self.assertEqual(creation.outcome(), f"{self.model_id}@1 was created")
        again = remember(self.daemon.address, self.model_id, path, False, [])
        assert again is not None
        self.addCleanup(again.forget)
        self.assertNotEqual(again.key, unfinished.key)

    def test_refused_push(self) -> None:
        """
        The key of a push is forgotten if the registry refuses the version, and kept after errors that pass.
        """
        path = Path(self.mktemp())
        path.write_bytes(bytes(9_000_000))
        self.patch(os, "environ", {**os.environ, **settings(self.daemon.address)})

        def key_after(error: RegistryError) -> tuple[str, str]:
            creation = Creation(self.server(), self.model_id)
            creation.unfinished = found = remember(self.daemon.address, self.model_id, path, False, [])
            assert found is not None
            self.addCleanup(found.close)
            with contextlib.suppress(RegistryError), creation.forgotten_if_refused():
                raise error
            found.close()
            again = remember(self.daemon.address, self.model_id, path, False, [])
            assert again is not None
            again.close()
            return found.key, again.key

        refusals: list[RegistryError] = [InvalidRequest("no"), HashMismatch("a", "b"), ModelReplaced("m")]
        for error in refusals:
            first, second = key_after(error)
            self.assertNotEqual(first, second, error)
        others: list[RegistryError] = [Unavailable("away"), Overloaded("full"), StorageFull("full")]
        for error in [*others, CreationUncertain("m", "lost", False)]:
            first, second = key_after(error)
            self.assertEqual(first, second, error)

    def test_deletion(self) -> None:
        """
        A model that does not exist was deleted; for one that exists the outcome is unknown.
        """
        self.client.save_model(self.model_id)
        said = deletion_outcome(self.server(), self.model_id)
        self.assertIn(f"not known whether model {self.model_id} was deleted: 'twisted-registry info", said)
        self.client.delete_model(self.model_id)
        self.assertEqual(deletion_outcome(self.server(), self.model_id), f"model {self.model_id} was deleted")

    def test_saving(self) -> None:
        """
        A model with the new metadata got it; if it has other metadata, the outcome is unknown.
        """
        self.client.save_model(self.model_id, a="1")
        wanted = ModelInfo(self.model_id, {"a": "2"})
        self.assertIn("it is not known whether", update_outcome(self.server(), wanted))
        self.client.save_model(self.model_id, a="2")
        self.assertEqual(update_outcome(self.server(), wanted), f"the metadata of model {self.model_id} was set")

    def test_nobody_to_ask(self) -> None:
        """
        If the registry is away, the outcome is unknown.
        """
        self.assertIn("not known", deletion_outcome(Server(f"localhost:{free_port()}"), self.model_id))

    def test_question(self) -> None:
        """
        Ctrl-C at the confirmation: the model was not deleted.
        """
        self.client.save_model(self.model_id)
        with (
            Terminal() as terminal,
            started(self.daemon.address, "rm", self.model_id, stdin=terminal.child, stderr=terminal.child) as process,
        ):
            terminal.let_go()
            terminal.wait_for(b"[y/N]")
            terminal.wait_for_reader(process)
            process.send_signal(signal.SIGINT)
            terminal.read_all(lambda: process.send_signal(signal.SIGINT))
            self.assertEqual(process.wait(TIMEOUT_SECONDS), 130)
        self.assertIn(f"interrupted: model {self.model_id} was not deleted".encode(), terminal.shown)

    def test_watch_without_a_version(self) -> None:
        """
        A watch that received no version says so.
        """
        self.client.save_model(self.model_id)
        with started(self.daemon.address, "watch", self.model_id) as process:
            self.wait_for_subscribers(1)
            self.assertEqual(interrupt(process), (130, line("no version came")))


class StartTests(unittest.TestCase):
    """
    A command that is interrupted while Python imports it.
    """

    program = (
        "import os, sys\n"
        "class Interrupter:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == 'click':\n"
        "            os.kill(os.getpid(), int(sys.argv[1]))\n"
        "sys.meta_path.insert(0, Interrupter())\n"
        "from twisted_registry.cli.main import main\n"
        "main()\n"
    )

    def test_while_imported(self) -> None:
        """
        It prints one line, without a traceback.
        """
        for number in (signal.SIGINT, signal.SIGTERM):
            command = [sys.executable, "-c", self.program, str(int(number))]
            done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_SECONDS, check=False)
            self.assertEqual((done.returncode, done.stderr), (128 + number, line("nothing was done")))
