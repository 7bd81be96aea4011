"""
Tests for failed starts: one clear line, a status other than 0, and nothing left behind.
"""

import json
import os
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.support.client import Client
from tests.support.daemon import Daemon, processes_in, run_twistd, wait_until
from tests.support.holds import DATA, Holds

FOREGROUND = ("--nodaemon", "--pidfile=")
BACKGROUND = ("--pidfile=twistd.pid", "--logfile=twistd.log")

TWISTDS_OWN_NOTICE = r"\A(An error has occurred: .*\nPlease look at log file for more information\.\n)?\Z"
"""The line that twistd adds if its background process has failed."""


class StartFailureTestCase(SynchronousTestCase):
    """
    A directory to start in.
    """

    def setUp(self) -> None:
        """
        Make the directory.
        """
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir(parents=True)

    def start_other(self, *flags: str) -> Daemon:
        """
        Start another daemon elsewhere.
        """
        daemon = Daemon(self.directory / "other", flags)
        self.addCleanup(daemon.kill)
        return daemon.start()

    def assert_cannot_start(self, *flags: str, said: str, environment: Mapping[str, str] | None = None) -> None:
        """
        Check that a daemon does not start, neither in the foreground nor in the background.

        Args:
            said: a part of the line that says why.
        """
        for mode in (FOREGROUND, BACKGROUND):
            # It comes back only once nobody holds its stdout and stderr any more.
            ended = run_twistd(self.directory, *mode, "model-registry", *flags, environment=environment)
            line, _, rest = ended.stderr.partition("\n")
            self.assertEqual(ended.returncode, 1, ended)
            self.assertTrue(line.startswith("twistd model-registry: "), ended)
            self.assertIn(said, line)
            self.assertRegex(rest, r"\A\Z" if mode is FOREGROUND else TWISTDS_OWN_NOTICE)
            self.assertNotIn("Traceback", ended.stdout)
        wait_until(lambda: not processes_in(self.directory), "no process is left")
        self.assertFalse((self.directory / "twistd.pid").exists())
        log = self.directory / "twistd.log"
        self.assertNotIn("Traceback", log.read_text() if log.exists() else "")


class JsonTests(StartFailureTestCase):
    """
    Failed starts of a daemon that logs in JSON.
    """

    def report(self, *flags: str) -> Any:
        """
        Return what the daemon prints about a failed start in the foreground.
        """
        ended = run_twistd(self.directory, *FOREGROUND, "model-registry", "--log-format", "json", *flags)
        self.assertEqual(ended.returncode, 1, ended)
        (line,) = ended.stderr.splitlines()
        return json.loads(line)

    def test_before_the_start(self) -> None:
        """
        A wrong setting is reported as a line of the log would be.
        """
        found = self.report("--archive", "nowhere:x")
        self.assertEqual((found["level"], found["logger"]), ("critical", "twisted_registry"))
        self.assertIn("there is no archive 'nowhere'", found["message"])

    def test_at_the_start(self) -> None:
        """
        An archive that cannot be opened, too.
        """
        (self.directory / "file").touch()
        self.assertIn("file", self.report("--port", "0", "--archive-dir", "file")["message"])


class WrongSettingsTests(StartFailureTestCase):
    """
    Settings that are not valid.
    """

    def test_bad_flag_value(self) -> None:
        """
        An invalid value of a flag is named, with the expected values.
        """
        self.assert_cannot_start("--port", "no-port", said="--port is 'no-port'; expected a whole number")

    def test_unknown_flag(self) -> None:
        """
        An unknown flag is named.
        """
        self.assert_cannot_start("--bogus", said="--bogus")

    def test_stray_argument(self) -> None:
        """
        An argument that is not a flag is named.
        """
        self.assert_cannot_start("start", said="'start'")

    def test_bad_variable(self) -> None:
        """
        An invalid value of a variable is named, with the variable.
        """
        variable = "COGMENT_MODEL_REGISTRY_VERSION_CACHE_MAX_ITEMS"
        self.assert_cannot_start(environment={variable: "0"}, said=f"{variable} is '0'; expected")

    def test_two_archives(self) -> None:
        """
        An archive and an archive directory exclude each other.
        """
        self.assert_cannot_start("--archive", "filesystem:a", "--archive-dir", "b", said="cannot be combined")

    def test_unknown_provider(self) -> None:
        """
        An unknown provider is named, with those that are installed.
        """
        self.assert_cannot_start("--archive", "tape:drive", said="there is no archive 'tape'")

    def test_unknown_transient_provider(self) -> None:
        """
        An unknown provider of transient stores is named.
        """
        self.assert_cannot_start("--transient", "sieve", said="there is no transient store 'sieve'")

    def test_arguments_a_provider_does_not_take(self) -> None:
        """
        For arguments that the provider does not take, the line shows the form of its descriptions.
        """
        self.assert_cannot_start("--archive", "filesystem", said="'filesystem:directory'")

    def test_directory_with_a_colon(self) -> None:
        """
        An unescaped colon ends the directory, and the rest is refused.
        """
        for archive in ("filesystem:a:b", "filesystem:a:system=b", "filesystem:"):
            self.assert_cannot_start("--archive", archive, said="filesystem:")


class PortTests(StartFailureTestCase):
    """
    Ports that cannot be bound.
    """

    def test_of_another_daemon(self) -> None:
        """
        The port of another daemon is not shared, and that daemon is not affected.
        """
        other = self.start_other()
        self.assert_cannot_start("--port", str(other.port), said=f"127.0.0.1:{other.port}: Address already in use")
        client = Client(other.address)
        self.addCleanup(client.close)
        client.save_model("m")
        self.assertEqual(client.create("m", b"data", archived=True), client.latest("m"))

    def test_of_anything_else(self) -> None:
        """
        The port of another program is not shared.
        """
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            self.assert_cannot_start("--port", str(port), said=f"127.0.0.1:{port}: Address already in use")

    def test_not_permitted(self) -> None:
        """
        A port that is reserved for the system is refused.
        """
        try:
            socket.create_server(("127.0.0.1", 1)).close()
        except PermissionError:
            self.assert_cannot_start("--port", "1", said="127.0.0.1:1: Permission denied")
        except OSError:
            raise SkipTest("port 1 is in use") from None
        else:
            raise SkipTest("this user may listen on every port")

    def test_address_of_another_machine(self) -> None:
        """
        The address of another machine is refused.
        """
        self.assert_cannot_start(
            "--port", "0", "--interface", "192.0.2.1", "--insecure", said="192.0.2.1:0: Cannot assign"
        )

    def test_unknown_host(self) -> None:
        """
        An unknown host name is refused.
        """
        self.assert_cannot_start(
            "--port", "0", "--interface", "nobody.invalid", "--insecure", said="nobody.invalid:0: "
        )


class ArchiveTests(StartFailureTestCase):
    """
    Archives that cannot be used.
    """

    def test_in_use(self) -> None:
        """
        The archive of another daemon is not shared, and that daemon is not affected.
        """
        archive = str(self.directory / "archive")
        other = self.start_other("--archive-dir", archive)
        client = Client(other.address)
        self.addCleanup(client.close)
        client.save_model("m")
        self.assert_cannot_start("--port", "0", "--archive-dir", archive, said=f"{archive!r} is in use")
        self.assertEqual(client.create("m", b"data", archived=True), client.latest("m"))
        self.assertEqual(client.data("m", 1), b"data")

    def test_file(self) -> None:
        """
        A file in place of the directory is refused.
        """
        path = self.directory / "file"
        path.write_text("not a directory")
        self.assert_cannot_start("--port", "0", "--archive-dir", str(path), said=f"{str(path)!r} cannot be used: Not a")

    def test_cannot_be_made(self) -> None:
        """
        A directory that cannot be created is refused.
        """
        (self.directory / "file").write_text("not a directory")
        path = str(self.directory / "file" / "archive")
        self.assert_cannot_start("--port", "0", "--archive-dir", path, said=f"{path!r} cannot be used: Not a directory")

    def test_not_readable(self) -> None:
        """
        A directory that cannot be read is refused.
        """
        path = self.directory / "archive"
        path.mkdir(mode=0)
        self.addCleanup(path.chmod, 0o700)
        if os.access(path, os.R_OK):
            raise SkipTest("this user may read everything")
        self.assert_cannot_start("--port", "0", "--archive-dir", str(path), said=f"{str(path)!r} cannot be used: Perm")


class LateTests(StartFailureTestCase):
    """
    Starts that end when threads run already, and the archive and the port are open.
    """

    def setUp(self) -> None:
        """
        Install the plugin of an archive that can be held when syncs are to be reported.
        """
        super().setUp()
        self.holds = Holds(self.directory / "holds")
        shutil.copytree(DATA / "held_provider", self.directory / "plugins")
        self.flags = ("--archive", f"held:{self.directory / 'archive'}:{self.directory / 'holds'}", "--http-port", "0")
        self.environment = {"PYTHONPATH": str(self.directory / "plugins")}

    def test_bug(self) -> None:
        """
        After an unexpected error the process exits, although threads have begun.
        """
        self.holds.fail("syncs")
        flags = (*FOREGROUND, "model-registry", "--port", "0", *self.flags)
        ended = run_twistd(self.directory, *flags, environment=self.environment)
        self.assertEqual(ended.returncode, 1, ended)
        self.assertIn("RuntimeError: syncs fails", ended.stdout)
        wait_until(lambda: not processes_in(self.directory), "no process is left")

    def test_signal(self) -> None:
        """
        A daemon that is asked to stop exits with status 0, although threads have begun.
        """
        self.holds.hold("syncs")
        daemon = Daemon(self.directory, self.flags, self.environment)
        daemon.launch()
        self.addCleanup(daemon.kill)
        wait_until(lambda: self.holds.entered("syncs"), "the start is held")
        self.assertEqual(daemon.stop(), 0, daemon.log)
