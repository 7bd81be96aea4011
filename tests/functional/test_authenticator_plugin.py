"""
Tests of a daemon with the authenticator of ``examples/badge_authenticator``, and of the guide that shows it.
"""

import os
import shlex
import sys
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.functional.test_access import TLS_FLAGS, AccessTestCase
from tests.support.daemon import Daemon
from tests.support.guide import blocks
from twisted_registry.client.errors import NotAuthenticated, NotPermitted, RegistryError, Unavailable

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "badge_authenticator"
GUIDE = (ROOT / "docs" / "guides" / "write-an-authenticator.md").read_text()

KEY = b"a key that is long enough to keep"
FOUND = blocks(GUIDE)
_POLICY = next(block.text for block in FOUND if block.language == "toml")
_FLAGS = shlex.split(next(block.text for block in FOUND if block.language == "sh").replace("\\\n", ""))[5:]


class BadgeTests(AccessTestCase):
    """
    A daemon that knows callers by their badges, and by its own tokens.
    """

    def setUp(self) -> None:
        """
        Start it.
        """
        super().setUp()
        (self.directory / "badge.key").write_bytes(KEY)
        (self.directory / "policy.toml").write_text(_POLICY)
        self.path = {"PYTHONPATH": os.pathsep.join((str(ROOT), str(EXAMPLE)))}
        self.patch(sys, "path", [*sys.path, str(EXAMPLE)])
        flags = (*TLS_FLAGS, *_FLAGS, "--tokens-file", "tokens")
        self.daemon = Daemon(self.directory, flags, {**os.environ, **self.path})
        self.addCleanup(self.daemon.kill)
        self.daemon.start()

    def badge(self, name: str, ends_seconds: float, key: bytes = KEY) -> str:
        """
        Return a badge.
        """
        from badge_authenticator import make_badge  # type: ignore[import-not-found]

        return str(make_badge(key, name, int(ends_seconds)))

    def refusal(self, token: str, expected: type[RegistryError] = NotAuthenticated) -> str:
        """
        Return why a token is refused.
        """
        return str(self.assertRaises(expected, self.client(self.daemon, token).model, "team-a/x"))

    def test_callers(self) -> None:
        """
        A badge has what the policy grants to its name; own tokens count as before.
        """
        later = time.time() + 600
        self.client(self.daemon, self.badge("ann", later)).ensure_model("team-a/x")
        self.client(self.daemon, self.token).model("team-a/x")
        self.refusal(self.badge("bob", later), NotPermitted)
        self.assertIn("not one of this company", self.refusal(self.badge("ann", later, b"other")))
        self.assertIn("has ended", self.refusal(self.badge("ann", 1)))
        self.assertIn("not of a kind", self.refusal("unknown"))

    def test_stream_ends(self) -> None:
        """
        A stream ends within seconds after its badge.
        """
        ends = time.time() + 3
        client = self.client(self.daemon, self.badge("ann", ends))
        with client.events() as events:
            error = self.assertRaises(NotAuthenticated, list, events)
        self.assertIn("has ended", str(error))
        self.assertLess(int(ends), time.time())

    def test_unavailable(self) -> None:
        """
        If the authenticator cannot determine now who calls, the call can be repeated; own tokens count all the same.
        """
        (self.directory / "badge.key").unlink()
        self.assertIn("cannot be read now", self.refusal(self.badge("ann", time.time() + 600), Unavailable))
        self.client(self.daemon, self.token).ensure_model("team-a/x")


class GuideTests(SynchronousTestCase):
    """
    The guide shows the example as it is.
    """

    def test_flags(self) -> None:
        """
        The command that it shows chooses the authenticator and the policy.
        """
        self.assertEqual(_FLAGS, ["--authenticator", "badge:badge.key", "--policy-file", "policy.toml"])

    def test_code(self) -> None:
        """
        Its code stands in the example, word by word.
        """
        sources = "".join(path.read_text() for path in sorted(EXAMPLE.rglob("*.py")))
        shown = [block.text for block in FOUND if block.language == "python"]
        self.assertEqual(len(shown), 4)
        for text in shown:
            self.assertIn(text.strip("\n"), sources)


class StartTests(AccessTestCase):
    """
    Starts with a wrong description.
    """

    def test_mistakes(self) -> None:
        """
        The start is refused with one line.
        """
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(EXAMPLE)))}
        for description, said in (
            ("badges:x", "there is no authenticator 'badges'"),
            ("badge", "the description of the authenticator 'badge' is invalid"),
        ):
            flags = ("--port", "0", "--authenticator", description)
            self.assert_cannot_start(*flags, said=said, environment=environment)
