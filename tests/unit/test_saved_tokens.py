"""
Tests for ``twisted_registry.client._transport.saved_tokens``.
"""

import json
import os
import pickle
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.client import BlockingClient, SavedToken, Tls
from twisted_registry.client._transport.saved_tokens import SavedTokens, address_key
from twisted_registry.client._transport.tokens import current_token
from twisted_registry.client.errors import TokenUnusable

_PEM = b"-----BEGIN CERTIFICATE-----"


class ConfigurationTestCase(SynchronousTestCase):
    """
    A user without tokens.
    """

    def setUp(self) -> None:
        """
        Use a directory for the user's configuration.
        """
        self.folder = Path(self.mktemp()).absolute()
        self.patch(os, "environ", {**os.environ, "XDG_CONFIG_HOME": str(self.folder)})
        self.tokens = SavedTokens()


class SavedTokensTests(ConfigurationTestCase):
    """
    The file of tokens.
    """

    def test_kept_by_address(self) -> None:
        """
        Each address has its own token; another one replaces it, and none is left after ``remove``.
        """
        for address, token in (("one:9000", "a"), ("two:9000", "b"), ("one:9000", "c")):
            self.tokens.save(address, token, in_keyring=False)
        self.assertEqual([self.tokens.get(f"{host}:9000") for host in ("one", "two", "three")], ["c", "b", None])
        self.assertEqual(self.tokens.keys(), ["one:9000", "two:9000"])
        self.assertEqual([self.tokens.remove("one:9000") for _ in range(2)], [True, False])
        self.assertFalse(self.tokens.has("one:9000"))

    def test_spellings(self) -> None:
        """
        An address is the same in other spellings; another port, a name server and a socket are others.
        """
        self.assertEqual({address_key(text) for text in ("One:9000", "dns:///one:9000")}, {"one:9000"})
        others = ("one:9001", "dns://10.0.0.1/one:9000", "unix:/run/one", "unix:/run/One", "ipv4:10.0.0.1:9000")
        self.assertEqual(len({address_key(text) for text in ("one:9000", *others)}), 6)

    def test_relative_sockets(self) -> None:
        """
        The token of a socket with a relative path is not that of one with the same path below another directory.
        """
        here = os.getcwd()
        self.addCleanup(os.chdir, here)
        key = address_key("unix:run/one")
        self.assertEqual({address_key(f"unix:{here}/run/one"), address_key(f"unix://{here}/./run/one")}, {key})
        os.chdir("/")
        self.assertNotEqual(address_key("unix:run/one"), key)

    def test_only_for_the_user(self) -> None:
        """
        The file and its directory are closed to others, whatever the umask; a file that is open to others is refused.
        """
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        self.tokens.save("one:9000", "secret", in_keyring=False)
        self.assertEqual(self.tokens.path.stat().st_mode & 0o777, 0o600)
        self.assertEqual(self.tokens.path.parent.stat().st_mode & 0o777, 0o700)
        for mode in (0o640, 0o604, 0o660):
            self.tokens.path.chmod(mode)
            for act in (self.tokens.get, self.tokens.has, self.tokens.remove):
                error = self.assertRaises(OSError, act, "one:9000")
                self.assertIn(f"open to other users (mode {mode:04o})", str(error))
                self.assertIn("chmod 600", str(error))

    def test_of_another_user(self) -> None:
        """
        A file that belongs to another user is refused.
        """
        self.tokens.save("one:9000", "secret", in_keyring=False)
        self.patch(os, "geteuid", lambda: os.getuid() + 1)
        self.assertIn("belongs to another user", str(self.assertRaises(OSError, self.tokens.get, "one:9000")))

    def test_damaged(self) -> None:
        """
        A file that is not such a file is refused, and stays as it is.
        """
        self.tokens.save("one:9000", "secret", in_keyring=False)
        for content in (b"", b"{", b"[]", b'{"one:9000": "secret"}', b"[" * 10_000, b" " * 2**21):
            self.tokens.path.write_bytes(content)
            self.assertIn("damaged", str(self.assertRaises(OSError, self.tokens.get, "one:9000")))
            self.assertRaises(OSError, self.tokens.save, "one:9000", "other", in_keyring=False)
            self.assertEqual(self.tokens.path.read_bytes(), content)

    def test_link(self) -> None:
        """
        A link to the file, as users of version control for their settings have, stays a link.
        """
        self.tokens.save("one:9000", "a", in_keyring=False)
        elsewhere = self.folder / "elsewhere.json"
        self.tokens.path.rename(elsewhere)
        self.tokens.path.symlink_to(elsewhere)
        self.tokens.save("two:9000", "b", in_keyring=False)
        self.assertTrue(self.tokens.path.is_symlink())
        self.assertEqual(set(json.loads(elsewhere.read_bytes())), {"one:9000", "two:9000"})

    def test_no_home(self) -> None:
        """
        A user without a home directory has no tokens, and the error says what to set.
        """
        environment = {name: value for name, value in os.environ.items() if name not in ("XDG_CONFIG_HOME", "HOME")}
        self.patch(os, "environ", environment)
        self.patch(Path, "home", _no_home)
        self.assertIn("XDG_CONFIG_HOME", str(self.assertRaises(FileNotFoundError, SavedTokens)))

    def test_no_keyring(self) -> None:
        """
        If the keyring that has a token is gone, the error says so.
        """
        environment = {**os.environ, "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
        self.patch(os, "environ", environment)
        self.tokens.path.parent.mkdir(parents=True)
        self.tokens.path.touch(0o600)
        self.tokens.path.write_text('{"one:9000": {"in_keyring": true}}')
        self.assertIn("--no-keyring", str(self.assertRaises(OSError, self.tokens.get, "one:9000")))


def _no_home() -> Path:
    raise RuntimeError("could not determine home directory")


class SavedTokenTests(ConfigurationTestCase):
    """
    ``SavedToken``, as a client uses it.
    """

    def test_changes(self) -> None:
        """
        Another login counts from the next call on, and after a logout there is none.
        """
        token = SavedToken("one:9000")
        self.assertIn(
            "run 'twisted-registry login one:9000'", str(self.assertRaises(TokenUnusable, current_token, token))
        )
        for text in ("a", "b"):
            self.tokens.save("one:9000", text, in_keyring=False)
            self.assertEqual(current_token(token), text)
        self.tokens.remove("one:9000")
        self.assertRaises(TokenUnusable, current_token, token)

    def test_other_address(self) -> None:
        """
        A client of another address refuses it, and so does one without TLS on another machine.
        """
        tls, token = Tls(_PEM), SavedToken("one:9000")
        self.assertIn(
            "kept for one:9000", str(self.assertRaises(ValueError, BlockingClient, "two:9000", tls=tls, token=token))
        )
        self.assertIn("unencrypted", str(self.assertRaises(ValueError, BlockingClient, "one:9000", token=token)))
        BlockingClient("ONE:9000", tls=tls, token=token).close()

    def test_not_shown(self) -> None:
        """
        The token is in no printed form and in no pickle; a copy reads it itself.
        """
        self.tokens.save("one:9000", "secret", in_keyring=False)
        token = SavedToken("one:9000")
        self.assertEqual(token(), "secret")
        pickled = pickle.dumps(token)
        self.assertNotIn(b"secret", pickled)
        self.assertNotIn("secret", repr(token) + repr(vars(self.tokens)))
        self.assertEqual(pickle.loads(pickled)(), "secret")
