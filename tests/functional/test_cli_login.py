"""
Tests for the commands ``login`` and ``logout``.
"""

import json
import os
import subprocess
from pathlib import Path

from click.shell_completion import ShellComplete

from tests.functional.test_access import AccessTestCase
from tests.support.cli import TWISTED_REGISTRY, Terminal, settings
from tests.support.daemon import TIMEOUT_SECONDS, clean_environment
from tests.support.keyrings import BACKEND_VARIABLES, DIRECTORY_VARIABLE, LOCK_NAME
from twisted_registry.cli.group import command

_NO_KEYRING = {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}


class LoginTestCase(AccessTestCase):
    """
    A daemon with TLS and tokens, and a user who has a token and has not logged in.
    """

    def setUp(self) -> None:
        """
        Start the daemon.
        """
        super().setUp()
        self.daemon = self.start("--tls-certificate", "cert.pem", "--tls-key", "key.pem", "--tokens-file", "tokens")
        self.address = f"localhost:{self.daemon.port}"
        self.config = self.directory / "config"
        self.keyring = self.directory / "keyring"
        self.keyring.mkdir()
        self.variables = dict(_NO_KEYRING)

    def environment(self, **variables: str) -> dict[str, str]:
        """
        Return the variables of the command.
        """
        authority = str(self.directory / "ca.pem")
        own = {"TWISTED_REGISTRY_TLS_CA": authority, "XDG_CONFIG_HOME": str(self.config)}
        own |= {DIRECTORY_VARIABLE: str(self.keyring), "TERM": "xterm"}
        return clean_environment(settings(self.address, {**own, **self.variables, **variables}))

    def run_command(self, *arguments: str, typed: str = "", **variables: str) -> "subprocess.CompletedProcess[str]":
        """
        Run a command.
        """
        return subprocess.run(
            [TWISTED_REGISTRY, *arguments],
            input=typed,
            env=self.environment(**variables),
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )

    def check_refused(self, done: "subprocess.CompletedProcess[str]", status: int, *said: str) -> None:
        """
        Check that a command failed, and said what is wrong and no token.
        """
        self.assertEqual((done.returncode, done.stdout), (status, ""), done.stderr)
        for part in said:
            self.assertIn(part, done.stderr)
        self.assertNotIn(self.token[20:40], done.stderr)
        self.assertNotIn("Traceback", done.stderr)

    def check_accepted_with_notes(self, *arguments: str) -> str:
        """
        Check that a command succeeds, and return what it prints on stdout.
        """
        done = self.run_command(*arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def check_accepted(self, *arguments: str, typed: str = "") -> str:
        """
        Check that a command succeeds without a word on stderr, and return what it prints.
        """
        done = self.run_command(*arguments, typed=typed)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout


class LoginTests(LoginTestCase):
    """
    Tokens in the file.
    """

    @property
    def file(self) -> Path:
        """
        The file of tokens that are kept.
        """
        return self.config / "twisted-registry" / "tokens.json"

    def test_kept(self) -> None:
        """
        After a login, commands for this address send the token, in any spelling, and after a logout they do not.
        """
        said = self.check_accepted("login", "--token-stdin", typed=f"{self.token}\n")
        who = f"token:ann (token {self.token[4:14]})"
        self.assertEqual(said, f"the registry at {self.address} knows you as {who}; the token is kept in {self.file}\n")
        self.assertEqual(self.file.stat().st_mode & 0o777, 0o600)
        self.check_accepted("set", "m", "a=b")
        self.assertEqual(self.check_accepted("ls", "--server", self.address.upper()), "m\ta=b\n")
        self.check_accepted("logout")
        self.check_refused(self.run_command("ls"), 1, "must know who calls", "run 'twisted-registry login'")
        self.check_refused(self.run_command("logout"), 1, f"no token is kept for {self.address}")
        self.assertNotIn(self.token, self.file.read_text())

    def test_other_address(self) -> None:
        """
        The token is not sent to another address, even of the same daemon.
        """
        self.check_accepted("login", "--token-stdin", typed=self.token)
        other = f"127.0.0.1:{self.daemon.port}"
        self.check_refused(self.run_command("ls", "--server", other), 1, "must know who calls")
        self.check_refused(self.run_command("logout", other), 1, f"there are tokens for {self.address}")

    def test_variables_take_precedence(self) -> None:
        """
        A token of a variable or of a file is sent instead of the one that is kept; with such a variable, login says
        that it would not count.
        """
        self.check_accepted("login", "--token-stdin", typed=self.token)
        other = self.directory / "other"
        other.write_text("not-a-token")
        for variables in ({"TWISTED_REGISTRY_TOKEN": "x"}, {"TWISTED_REGISTRY_TOKEN_FILE": str(other)}):
            self.check_refused(self.run_command("ls", **variables), 1, "not of a kind")
            self.check_refused(self.run_command("login", **variables), 2, next(iter(variables)), "unset it first")

    def test_typed(self) -> None:
        """
        At a terminal the command asks for the token, and does not show it.
        """
        with Terminal() as terminal:
            process = subprocess.Popen(
                [TWISTED_REGISTRY, "login", self.address],
                stdin=terminal.child,
                stdout=terminal.child,
                stderr=terminal.child,
                env=self.environment(),
                start_new_session=True,  # without the terminal of the person who runs the tests
            )
            self.addCleanup(process.kill)
            terminal.let_go()
            terminal.wait_for(b"(not shown): ")
            arguments = Path(f"/proc/{process.pid}/cmdline").read_bytes()
            terminal.type(f"{self.token}\n".encode())
            terminal.wait_for(b"knows you as token:ann")
            terminal.read_all()
            self.assertEqual(process.wait(TIMEOUT_SECONDS), 0)
        self.assertNotIn(self.token[20:40].encode(), terminal.shown + arguments)
        self.check_accepted("ls")

    def test_refused(self) -> None:
        """
        A token that the registry does not accept is not kept, and the one that is kept stays.
        """
        self.check_accepted("login", "--token-stdin", typed=self.token)
        before = self.file.read_bytes()
        for typed, said in (("", "there is no token"), ("se cret\x01", "printable"), ("two\nlines", "printable")):
            self.check_refused(self.run_command("login", "--token-stdin", typed=typed), 2, said)
        self.check_refused(self.run_command("login", "--token-stdin", typed=self.token[:-1]), 1, "cut off", "not kept")
        self.check_refused(self.run_command("login"), 2, "--token-stdin")
        self.check_refused(self.run_command("login", "--token-file", "none"), 2, "none: No such file")
        away = ("login", "localhost:1", "--token-stdin", "--retry-seconds", "0")
        self.check_refused(self.run_command(*away, typed=self.token), 3, "cannot reach the registry")
        self.assertEqual(self.file.read_bytes(), before)

    def test_unencrypted(self) -> None:
        """
        No token is sent to another machine unencrypted, neither by login nor later.
        """
        remote = ("--server", "192.0.2.1:9000")
        away = self.run_command("login", "--token-stdin", *remote, typed=self.token, TWISTED_REGISTRY_TLS_CA="")
        self.check_refused(away, 2, "unencrypted", "--tls-ca")
        self.check_accepted("login", "--token-stdin", typed=self.token)
        self.file.write_text(self.file.read_text().replace(self.address, remote[1]))
        self.check_refused(self.run_command("ls", *remote, TWISTED_REGISTRY_TLS_CA=""), 2, "unencrypted", "--tls-ca")

    def test_open_to_others(self) -> None:
        """
        A file that others may read is refused by each command, with the remedy.
        """
        self.check_accepted("login", "--token-stdin", typed=self.token)
        self.file.chmod(0o644)
        for arguments in (("ls",), ("login", "--token-stdin"), ("logout",)):
            self.check_refused(self.run_command(*arguments, typed=self.token), 2, str(self.file), "run 'chmod 600'")

    def test_without_access_control(self) -> None:
        """
        If the registry has no access control, login and whoami say so.
        """
        daemon = self.start("--archive-dir", "other")
        done = self.run_command(
            "login", f"localhost:{daemon.port}", "--token-stdin", typed=self.token, TWISTED_REGISTRY_TLS_CA=""
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("has no access control, so it does not look at tokens", done.stderr)
        address = f"localhost:{daemon.port}"
        done = self.run_command("whoami", "--server", address, TWISTED_REGISTRY_TLS_CA="")
        self.assertEqual(done.stdout, "caller\tanyone (the registry has no access control)\n", done.stderr)

    def test_who(self) -> None:
        """
        whoami shows the caller, the id of its token and when it ends; without a token it fails.
        """
        self.check_accepted("login", "--token-stdin", typed=self.token)
        self.assertEqual(self.check_accepted("whoami"), f"caller\ttoken:ann\ntoken\t{self.token[4:14]}\n")
        ends = {"caller": "token:ann", "token_id": self.token[4:14], "ends": None}
        self.assertEqual(json.loads(self.check_accepted("whoami", "--json")), ends)
        create = ("token", "create", "bob", "--model", "*", "--expires", "1h", "--file", "tokens")
        token = self.check_accepted_with_notes(*create, "--role", "reader").strip()
        self.daemon.wait_for("the token file tokens was read again")
        said = self.check_accepted("login", "--token-stdin", typed=token)
        self.assertRegex(
            said, rf"knows you as token:bob \(token {token[4:14]}\), until \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\dZ; "
        )
        self.assertRegex(self.check_accepted("whoami"), r"\nends\t\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ\n")
        self.check_accepted("logout")
        self.check_refused(self.run_command("whoami"), 1, "must know who calls")

    def test_without_status(self) -> None:
        """
        A caller that may not ask who it is can log in, too; one that may do nothing cannot.
        """
        (self.directory / "policy.toml").write_text('[roles]\npublishes = ["publish"]\n')
        own = ("--tls-certificate", "cert.pem", "--tls-key", "key.pem", "--tokens-file", "tokens")
        daemon = self.start("--archive-dir", "other", *own, "--policy-file", "policy.toml")
        address = f"localhost:{daemon.port}"
        token = self.add_token("bob", "publishes", "*")
        daemon.wait_for("the token file tokens was read again")
        said = self.check_accepted("login", address, "--token-stdin", typed=token)
        self.assertIn("accepts the token, which is kept", said)
        self.check_refused(self.run_command("whoami", "--server", address), 1, "token:bob", "'status'")
        token = self.add_token("eve", "unknown", "*")
        daemon.wait_for("the token file tokens was read again")
        refused = self.run_command("login", address, "--token-stdin", typed=token)
        self.check_refused(refused, 1, "token:eve", "no permission at all", "not kept")

    def test_completion(self) -> None:
        """
        Completion sends the token that is kept, too.
        """
        self.check_accepted("login", "--token-stdin", typed=self.token)
        self.check_accepted("set", "walker", "a=b")
        self.patch(os, "environ", self.environment())
        complete = ShellComplete(command, {}, "twisted-registry", "_TWISTED_REGISTRY_COMPLETE")
        self.assertEqual([item.value for item in complete.get_completions(["pull"], "w")], ["walker"])


class KeyringTests(LoginTestCase):
    """
    Tokens in a keyring.
    """

    def setUp(self) -> None:
        """
        Use the keyring.
        """
        super().setUp()
        self.variables = dict(BACKEND_VARIABLES)

    @property
    def kept(self) -> dict[str, dict[str, object]]:
        """
        The content of the file.
        """
        found: dict[str, dict[str, object]] = json.loads(
            (self.config / "twisted-registry" / "tokens.json").read_bytes()
        )
        return found

    def test_kept(self) -> None:
        """
        The keyring has the token, and the file only its address; a logout removes both.
        """
        self.assertIn("in the keyring", self.check_accepted("login", "--token-stdin", typed=self.token))
        self.assertEqual(self.kept, {self.address: {"in_keyring": True}})
        self.assertEqual([path.read_text() for path in self.keyring.iterdir()], [self.token])
        self.check_accepted("ls")
        self.check_accepted("logout")
        self.assertEqual((self.kept, list(self.keyring.iterdir())), ({}, []))

    def test_no_keyring(self) -> None:
        """
        With --no-keyring the file has the token, and the keyring no longer.
        """
        for flags in ((), ("--no-keyring",)):
            self.check_accepted("login", "--token-stdin", *flags, typed=self.token)
        self.assertEqual((self.kept, list(self.keyring.iterdir())), ({self.address: {"token": self.token}}, []))

    def test_locked(self) -> None:
        """
        If the keyring is locked, login, later commands and logout say so, and what to do.
        """
        self.check_accepted("login", "--token-stdin", typed=self.token)
        (self.keyring / LOCK_NAME).touch()
        said = ("Failed to unlock the collection!", "unlock it", "login --no-keyring")
        self.check_refused(self.run_command("ls"), 1, *said)
        self.check_refused(self.run_command("login", "--token-stdin", typed=self.token), 2, *said)
        self.check_refused(self.run_command("logout"), 2, *said)
        self.assertEqual(self.kept, {self.address: {"in_keyring": True}})

    def test_gone(self) -> None:
        """
        If there is no keyring any more, or another program has removed the token, the commands say so.
        """
        self.check_accepted("login", "--token-stdin", typed=self.token)
        self.check_refused(self.run_command("ls", **_NO_KEYRING), 1, "there is none here", "login --no-keyring")
        for path in self.keyring.iterdir():
            path.unlink()
        self.check_refused(self.run_command("ls"), 1, f"run 'twisted-registry login {self.address}'")
