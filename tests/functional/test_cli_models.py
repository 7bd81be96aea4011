"""
Tests for the commands ``rm`` and ``set``.
"""

import json
from collections.abc import Mapping

from tests.support.cli import Terminal, invoke, started
from tests.support.daemon import TIMEOUT_SECONDS
from tests.support.edge import SharedEdgeTestCase


class RemoveTests(SharedEdgeTestCase):
    """
    Deletion of models.
    """

    def setUp(self) -> None:
        """
        Make a model with a version.
        """
        super().setUp()
        self.client.save_model(self.model_id)
        self.client.create(self.model_id, b"data")

    def is_there(self) -> bool:
        """
        Return whether the model exists.
        """
        return self.model_id in [info.model_id for info in self.client.models().model_infos]

    def answer(self, text: bytes) -> int:
        """
        Delete the model on a terminal, answer the question, and return the status.
        """
        with (
            Terminal() as terminal,
            started(self.daemon.address, "rm", self.model_id, stdin=terminal.child, stderr=terminal.child) as process,
        ):
            terminal.let_go()
            terminal.wait_for(f"Delete {self.model_id} and its 1 version? [y/N]".encode())
            terminal.type(text)
            terminal.read_all()
            return process.wait(TIMEOUT_SECONDS)

    def test_yes(self) -> None:
        """
        With --yes the model is deleted, and a line reports it.
        """
        done = invoke(self.daemon.address, "rm", "--yes", self.model_id)
        self.assertEqual((done.exit_code, done.stdout), (0, f"deleted {self.model_id}\n"))
        self.assertFalse(self.is_there())

    def test_json(self) -> None:
        """
        With --json the deletion is an object.
        """
        done = invoke(self.daemon.address, "rm", "-y", "--json", self.model_id)
        self.assertEqual(json.loads(done.stdout), {"model_id": self.model_id, "deleted": True})

    def test_nobody_to_ask(self) -> None:
        """
        Without a terminal and without --yes: 2, and the model is kept.
        """
        done = invoke(self.daemon.address, "rm", self.model_id)
        self.assertEqual(done.exit_code, 2)
        self.assertIn("--yes", done.stderr)
        self.assertTrue(self.is_there())

    def test_asked_yes(self) -> None:
        """
        On a terminal it asks; after a yes the model is deleted.
        """
        self.assertEqual(self.answer(b"y\n"), 0)
        self.assertFalse(self.is_there())

    def test_asked_no(self) -> None:
        """
        After a no, which is the default: 1, and the model is kept.
        """
        self.assertEqual(self.answer(b"\n"), 1)
        self.assertTrue(self.is_there())

    def test_not_there(self) -> None:
        """
        An unknown model is 1.
        """
        self.assertEqual(invoke(self.daemon.address, "rm", "--yes", "nobody").exit_code, 1)

    def test_asked_about_a_version(self) -> None:
        """
        Before it deletes a version it names it, with its number, size and kind.
        """
        with (
            Terminal() as terminal,
            started(
                self.daemon.address, "rm", f"{self.model_id}@latest", stdin=terminal.child, stderr=terminal.child
            ) as process,
        ):
            terminal.let_go()
            terminal.wait_for(f"Delete {self.model_id}@1 (4 bytes, transient)? [y/N]".encode())
            terminal.type(b"n\n")
            terminal.read_all()
            self.assertEqual(process.wait(TIMEOUT_SECONDS), 1)
        self.assertEqual(len(self.client.infos(self.model_id).version_infos), 1)


class SetTests(SharedEdgeTestCase):
    """
    The command that sets metadata.
    """

    def set(self, *arguments: str) -> Mapping[str, str]:
        """
        Set metadata, and return the model's metadata afterwards.
        """
        done = invoke(self.daemon.address, "set", self.model_id, *arguments)
        self.assertEqual((done.exit_code, done.stderr), (0, ""))
        (model,) = self.client.models(self.model_id).model_infos
        return dict(model.user_data)

    def test_made(self) -> None:
        """
        A model that does not exist is created.
        """
        self.assertEqual(self.set(), {})
        self.assertEqual(self.set("a=1"), {"a": "1"})

    def test_kept(self) -> None:
        """
        Existing keys stay, and new ones are set; --unset removes keys, also missing ones.
        """
        self.client.save_model(self.model_id, a="1", b="2")
        self.assertEqual(self.set("b=3", "c=x=y"), {"a": "1", "b": "3", "c": "x=y"})
        self.assertEqual(self.set("--unset", "a", "--unset", "z", "d="), {"b": "3", "c": "x=y", "d": ""})

    def test_replace(self) -> None:
        """
        With --replace the old metadata is removed.
        """
        self.client.save_model(self.model_id, a="1", b="2")
        self.assertEqual(self.set("--replace", "b=3"), {"b": "3"})

    def test_output(self) -> None:
        """
        The resulting model is printed, as a line or as an object.
        """
        done = invoke(self.daemon.address, "set", self.model_id, "b=2", "a=1")
        self.assertEqual(done.stdout, f"{self.model_id}\ta=1 b=2\n")
        done = invoke(self.daemon.address, "set", "--json", self.model_id)
        self.assertEqual(json.loads(done.stdout), {"model_id": self.model_id, "user_data": {"a": "1", "b": "2"}})

    def test_version(self) -> None:
        """
        Setting the metadata of a version is refused with 2.
        """
        done = invoke(self.daemon.address, "set", f"{self.model_id}@1", "a=1")
        self.assertEqual(done.exit_code, 2)
        self.assertIn("when it is created", done.stderr)

    def test_too_much(self) -> None:
        """
        An error of the registry is 1, with its reason.
        """
        done = invoke(self.daemon.address, "set", self.model_id, f"a={'x' * 300_000}")
        self.assertEqual(done.exit_code, 1)
        self.assertIn("has 300011 bytes when encoded", done.stderr)
