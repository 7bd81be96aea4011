"""
Tests for ``twisted_registry.client._transport.tokens``.
"""

import pickle
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.client import TokenFile
from twisted_registry.client._transport.tokens import current_token
from twisted_registry.client.errors import NotAuthenticated


class TokenFileTests(SynchronousTestCase):
    """
    ``TokenFile`` returns the token that a file holds.
    """

    def setUp(self) -> None:
        """
        Write a file.
        """
        self.path = Path(self.mktemp())
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text("one\n")
        self.file = TokenFile(self.path)

    def test_changes(self) -> None:
        """
        The file is read again when it changes, also if it is replaced below a link.
        """
        self.assertEqual(self.file(), "one")
        self.path.write_text("three")
        self.assertEqual(self.file(), "three")
        other = self.path.with_name("other")
        other.write_text("seven")
        self.path.unlink()
        self.path.symlink_to(other.name)
        self.assertEqual(self.file(), "seven")

    def test_pickled(self) -> None:
        """
        A copy in another process reads the file itself; the token is not in the pickle.
        """
        self.assertEqual(self.file(), "one")
        self.assertNotIn(b"one", pickle.dumps(self.file).replace(bytes(self.path), b""))
        self.assertEqual(pickle.loads(pickle.dumps(self.file))(), "one")

    def test_not_shown(self) -> None:
        """
        The printed form has the path, and not the token.
        """
        self.file()
        self.assertNotIn("one", repr(self.file).replace(str(self.path), ""))


class CurrentTokenTests(SynchronousTestCase):
    """
    ``current_token`` returns what can be sent.
    """

    def test_sources(self) -> None:
        """
        A source is a token, or a function that returns one.
        """
        self.assertEqual((current_token("a"), current_token(lambda: "b")), ("a", "b"))

    def test_unusable(self) -> None:
        """
        A source that fails, or returns something that cannot be sent, is an error that does not repeat it.
        """

        def missing() -> str:
            raise FileNotFoundError(2, "No such file or directory", "token")

        sources: list[Callable[[], str]] = [missing, lambda: "", lambda: "secret\n", lambda: "s" * 20_000]
        for source in sources:
            error = self.assertRaises(NotAuthenticated, current_token, source)
            self.assertNotIn("sec", str(error))
            self.assertNotIn("sss", str(error))
