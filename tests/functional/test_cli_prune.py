"""
Tests of ``prune`` on a terminal, and of its interruption.
"""

from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any

from attrs import define, field
from twisted.trial.unittest import SynchronousTestCase

from tests.support.cli import Terminal, invoke, started
from tests.support.daemon import TIMEOUT_SECONDS
from tests.support.edge import SharedEdgeTestCase
from twisted_registry.cli.commands.prune import _delete
from twisted_registry.client import Pruned, PrunedModel, SkippedModel, errors

PART = PrunedModel("m", (1, 2), 1500)
PLAN = Pruned((PrunedModel("m", (1, 2, 3), 1800),), 3, 1800)


class ConfirmationTests(SharedEdgeTestCase):
    """
    Only the versions that were shown are deleted.
    """

    def setUp(self) -> None:
        """
        Make a model with three versions.
        """
        super().setUp()
        self.client.save_model(self.model_id)
        for _ in range(3):
            self.client.create(self.model_id, b"data", archived=True)

    def answer(self, text: bytes, meanwhile: Callable[[], object] = lambda: None) -> tuple[int, str]:
        """
        Prune the model on a terminal, and return the status and what was shown after the answer.
        """
        with (
            Terminal() as terminal,
            started(
                self.daemon.address, "prune", self.model_id, "--keep-last", "2", stdin=terminal.child,
                stderr=terminal.child,
            ) as process,
        ):  # fmt: skip
            terminal.let_go()
            terminal.wait_for(f"{self.model_id}: 1 (4 bytes)\r\nDelete 1 version of 1 model (4 bytes)? [y/N]".encode())
            meanwhile()
            terminal.type(text)
            terminal.read_all()
            return process.wait(TIMEOUT_SECONDS), terminal.shown.decode().partition("[y/N]")[2]

    def numbers(self) -> list[int]:
        """
        Return the numbers of the model's versions.
        """
        return [info.version_number for info in self.client.infos(self.model_id).version_infos]

    def test_refused(self) -> None:
        """
        Without a yes, nothing is deleted.
        """
        self.assertEqual(self.answer(b"n\n")[0], 1)
        self.assertEqual(self.numbers(), [1, 2, 3])

    def test_version_created_meanwhile(self) -> None:
        """
        A version that would be deleted only now was not shown, and stays.
        """
        status, _ = self.answer(b"y\n", lambda: self.client.create(self.model_id, b"data", archived=True))
        self.assertEqual((status, self.numbers()), (0, [2, 3, 4]))

    def test_kept_meanwhile(self) -> None:
        """
        A version that is kept by now stays, and a line says so.
        """
        status, said = self.answer(b"y\n", lambda: self.invoke_label("pin="))
        self.assertEqual((status, self.numbers()), (0, [1, 2, 3]))
        self.assertIn("1 version of the list stayed", said)

    def test_policy(self) -> None:
        """
        A policy that deletes versions at once is set only after a yes.
        """
        for text, status, policy in ((b"n\n", 1, "there is no policy"), (b"y\n", 0, "the newest 2")):
            question = b"The policy deletes 1 version (4 bytes) in the background. Set it? [y/N]"
            self.assertEqual(self.set_retention(question, text, self.model_id, "--keep-last", "2"), status)
            self.assertIn(policy, self.shown_retention())

    def test_unset(self) -> None:
        """
        A policy is removed only after a yes if that of a prefix then deletes versions at once.
        """
        prefix = self.model_id[:-1]
        invoke(self.daemon.address, "retention", "set", self.model_id, "--keep-all")
        invoke(self.daemon.address, "retention", "set", "--prefix", prefix, "--keep-last", "1", "--yes")
        self.addCleanup(invoke, self.daemon.address, "retention", "set", "--prefix", prefix, "--unset")
        question = (
            f"Without it, the policy of models that begin with {prefix} deletes 2 versions (8 bytes) in the "
            "background. Remove it? [y/N]"
        ).encode()
        for text, status, policy in ((b"n\n", 1, "all versions"), (b"y\n", 0, "the newest 1")):
            self.assertEqual(self.set_retention(question, text, self.model_id, "--unset"), status)
            self.assertIn(policy, self.shown_retention())

    def set_retention(self, question: bytes, answer: bytes, *arguments: str) -> int:
        """
        Set a policy on a terminal, answer the question, and return the status.
        """
        with (
            Terminal() as terminal,
            started(
                self.daemon.address, "retention", "set", *arguments, stdin=terminal.child, stderr=terminal.child
            ) as process,
        ):
            terminal.let_go()
            terminal.wait_for(question)
            terminal.type(answer)
            terminal.read_all()
            return process.wait(TIMEOUT_SECONDS)

    def shown_retention(self) -> str:
        """
        Return what is shown of the model's policy.
        """
        return invoke(self.daemon.address, "retention", "show", self.model_id).stdout

    def invoke_label(self, label: str) -> None:
        """
        Set a label of the first version.
        """
        with started(self.daemon.address, "label", f"{self.model_id}@1", label) as process:
            self.assertEqual(process.wait(TIMEOUT_SECONDS), 0)


@define
class FakeClient:
    """
    A client that reports parts, and then what a test says.
    """

    error: BaseException | None = None
    skipped: tuple[SkippedModel, ...] = ()
    only: list[Any] = field(factory=list)

    def prune(self, model_id: str, only: Pruned | None, progress: Callable[[PrunedModel], None]) -> Pruned:
        """
        Prune.
        """
        self.only.append(only)
        progress(PART)
        if self.error is not None:
            raise self.error
        return Pruned((PART,), 2, 1500, self.skipped)


class OutcomeTests(SynchronousTestCase):
    """
    The lines about what was deleted, and what was not.
    """

    def delete(self, client: Any, planned: Pruned | None = None) -> tuple[object, str]:
        """
        Delete, and return the exit status and stderr.
        """
        status: object = 0
        with redirect_stderr(StringIO()) as said, redirect_stdout(StringIO()):
            try:
                _delete(client, {"model_id": "m"}, planned, as_json=True)
            except SystemExit as error:
                status = error.code
        return status, said.getvalue()

    def test_interrupted(self) -> None:
        """
        An interruption says how many versions were deleted, and that the others stay.
        """
        status, said = self.delete(FakeClient(KeyboardInterrupt()))
        self.assertEqual(status, 130)
        self.assertIn("interrupted: 2 versions (1.5 kB) were reported as deleted, and the registry stops", said)
        self.assertIn("the others stay", said)

    def test_failed(self) -> None:
        """
        An error in the middle says so as well.
        """
        client: Any = FakeClient(errors.StorageFailure("I/O error"))
        with redirect_stderr(StringIO()) as said, redirect_stdout(StringIO()):
            self.assertRaises(errors.StorageFailure, _delete, client, {"model_id": "m"}, None, as_json=True)
        self.assertEqual(said.getvalue(), "twisted-registry: 2 versions (1.5 kB) were deleted before the error\n")

    def test_stayed(self) -> None:
        """
        Of the versions that were shown, some may stay.
        """
        client = FakeClient()
        self.assertIn("1 version of the list stayed", self.delete(client, PLAN)[1])
        self.assertEqual(client.only, [PLAN])

    def test_left_out(self) -> None:
        """
        A damaged model that was left out is 1; one that was deleted meanwhile is not.
        """
        gone = SkippedModel("m", "UNKNOWN_MODEL", "there is no model m")
        self.assertEqual(self.delete(FakeClient(skipped=(gone,)))[0], 0)
        damaged = SkippedModel("m", "CORRUPT_RETENTION", "its policy is damaged")
        status, said = self.delete(FakeClient(skipped=(gone, damaged)))
        self.assertEqual(status, 1)
        self.assertIn("left out m: its policy is damaged", said)
