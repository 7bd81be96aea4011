"""
Tests for a running daemon: in the foreground and in the background, with its settings.
"""

import json
import os
import re
import signal
import socket
from collections.abc import Mapping
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.cli import run
from tests.support.client import Client
from tests.support.daemon import Daemon, free_port, processes_in, run_twistd, wait_until

PREFIX = "COGMENT_MODEL_REGISTRY_"


class DaemonTestCase(SynchronousTestCase):
    """
    A directory to run daemons in.
    """

    def setUp(self) -> None:
        """
        Make the directory.
        """
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir(parents=True)

    def start(self, *flags: str, **environment: str) -> Daemon:
        """
        Start a daemon in the foreground.
        """
        variables = {f"{PREFIX}{name}": value for name, value in environment.items()}
        daemon = Daemon(self.directory, flags, variables)
        self.addCleanup(daemon.kill)
        return daemon.start()

    def connect(self, port: int) -> Client:
        """
        Connect a client.
        """
        client = Client(f"127.0.0.1:{port}")
        self.addCleanup(client.close)
        return client

    def assert_serves(self, port: int) -> None:
        """
        Check that a daemon stores transient and archived versions.
        """
        client = self.connect(port)
        client.save_model("m")
        for archived in (True, False):
            info = client.create("m", b"data", archived=archived)
            self.assertEqual(client.latest("m"), info)
            self.assertEqual(client.data("m", info.version_number), b"data")


class ForegroundTests(DaemonTestCase):
    """
    A daemon of twistd --nodaemon.
    """

    def test_serves(self) -> None:
        """
        The daemon serves on the port that it has picked, until it is stopped.
        """
        daemon = self.start()
        self.assertGreater(daemon.port, 0)
        self.assert_serves(daemon.port)
        self.assertEqual(daemon.stop(), 0)

    def test_archive_is_made(self) -> None:
        """
        The archive's directory is created if it is missing, with its parents.
        """
        daemon = self.start("--archive-dir", "new/folder")
        self.assert_serves(daemon.port)
        self.assertTrue((self.directory / "new" / "folder" / "m" / "m.yaml").exists())

    def test_default_archive(self) -> None:
        """
        By default the archive is a directory where the daemon was started.
        """
        self.assert_serves(self.start().port)
        self.assertTrue((self.directory / ".cogment_model_registry" / "m" / "m.yaml").exists())

    def test_loopback(self) -> None:
        """
        If only this machine can connect, the log says so, and how to change that.
        """
        hint = re.compile(r"only this machine can connect.*--interface 0\.0\.0\.0.*COGMENT_MODEL_REGISTRY_INTERFACE")
        self.assertRegex(self.start().log, hint)
        other = self.start("--interface", "0.0.0.0", "--insecure", "--archive-dir", "other")
        self.assertNotIn("only this machine", other.log)
        self.assertIn(f"listening on 0.0.0.0:{other.port}", other.log)
        self.assert_serves(other.port)

    def test_warnings(self) -> None:
        """
        The daemon warns if others can connect and may do anything, and if it runs as root.
        """
        hint = "#warn] there is no access control: anyone who can connect"
        daemon = self.start()
        self.assertNotIn(hint, daemon.log)
        self.assertEqual("#warn] running as root" in daemon.log, os.geteuid() == 0)
        self.assertIn(hint, self.start("--interface", "0.0.0.0", "--insecure", "--archive-dir", "other").log)


class SettingsTests(DaemonTestCase):
    """
    Flags and variables.
    """

    def test_variables(self) -> None:
        """
        Settings are read from the environment.
        """
        self.assert_serves(self.start(ARCHIVE_DIR="by-variable").port)
        self.assertTrue((self.directory / "by-variable" / "m").is_dir())

    def test_flag_over_variable(self) -> None:
        """
        A flag overrides its variable.
        """
        daemon = self.start("--archive-dir", "by-flag", ARCHIVE_DIR="by-variable")
        self.assert_serves(daemon.port)
        self.assertTrue((self.directory / "by-flag" / "m").is_dir())
        self.assertFalse((self.directory / "by-variable").exists())

    def test_port_by_variable(self) -> None:
        """
        The port is read from its variable if there is no flag.
        """
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            command = ("--nodaemon", "--pidfile=", "model-registry")
            ended = run_twistd(self.directory, *command, environment={f"{PREFIX}PORT": str(port)})
        self.assertIn(f"cannot listen on 127.0.0.1:{port}", ended.stderr)

    def test_empty_variable(self) -> None:
        """
        Every empty variable counts as unset.
        """
        names = ("ARCHIVE", "ARCHIVE_DIR", "INTERFACE", "GRPC_REFLECTION", "LOG_LEVEL", "VERSION_CACHE_MAX_ITEMS")
        daemon = self.start(**dict.fromkeys(names, ""))
        self.assert_serves(daemon.port)
        self.assertTrue((self.directory / ".cogment_model_registry" / "m").is_dir())

    def test_chunk_size(self) -> None:
        """
        A chunk size that is set is used exactly; the default keeps messages under the 4 MiB of stock clients.
        """
        for flags, most_bytes in ((("--sent-model-version-data-chunk-size", "3000"), 3000), ((), 4 * 2**20 - 1)):
            daemon = self.start(*flags)
            client = self.connect(daemon.port)
            client.save_model("m")
            number = client.create("m", bytes(3 * most_bytes)).version_number
            sizes = [len(chunk) for chunk in client.chunks("m", number)]
            if flags:
                self.assertEqual(sizes, [most_bytes] * 3)
            else:
                self.assertTrue(most_bytes // 2 < sizes[0] < most_bytes, sizes)
            self.assertEqual(daemon.stop(), 0)


class LogTests(DaemonTestCase):
    """
    The log of a running daemon.
    """

    def test_json(self) -> None:
        """
        As JSON each line is one object, from the first to the last.
        """
        daemon = self.start("--log-format", "json")
        self.assert_serves(daemon.port)
        self.assertEqual(daemon.stop(), 0)
        events = [json.loads(line) for line in daemon.log.splitlines()]
        self.assertIn(f"listening on 127.0.0.1:{daemon.port}", [event["message"] for event in events])
        warned = [event["message"] for event in events if event["level"] != "info"]
        subjects = [message.partition(":")[0] for message in warned if not message.startswith("running as root")]
        self.assertEqual(subjects, ["new archive"])

    def test_level(self) -> None:
        """
        Lines below the level are not logged.
        """
        port = free_port()
        daemon = Daemon(self.directory, ("--port", str(port)), {f"{PREFIX}LOG_LEVEL": "error"})
        self.addCleanup(daemon.kill)
        daemon.launch()
        address = f"127.0.0.1:{port}"
        wait_until(lambda: run(address, "health", "--server", address).returncode == 0, "it serves")
        self.assert_serves(port)
        self.assertEqual(daemon.stop(), 0)
        self.assertEqual(daemon.log, "")


class BackgroundTests(DaemonTestCase):
    """
    A daemon of twistd without --nodaemon, which forks.
    """

    def start_in_background(self, *flags: str, environment: Mapping[str, str] | None = None) -> int:
        """
        Start a daemon, with its log and its pidfile in the folder.

        Returns:
            its process's id.
        """
        self.addCleanup(self.kill)
        files = ("--pidfile", "daemon.pid", "--logfile", "daemon.log")
        started = run_twistd(self.directory, *files, "model-registry", "--port", "0", *flags, environment=environment)
        self.assertEqual((started.returncode, started.stdout, started.stderr), (0, "", ""))
        return int((self.directory / "daemon.pid").read_text())

    def kill(self) -> None:
        """
        Kill the remaining processes.
        """
        for process in processes_in(self.directory):
            os.kill(process, signal.SIGKILL)

    def port(self) -> int:
        """
        Return the port that was logged.
        """
        log = self.directory / "daemon.log"
        match = wait_until(lambda: re.search(r"listening on 127\.0\.0\.1:(\d+)", log.read_text()), "it listens")
        return int(match[1]) if match else 0

    def test_serves(self) -> None:
        """
        twistd exits with status 0 and prints nothing; the daemon serves; SIGTERM stops it and removes its pidfile.
        """
        process = self.start_in_background()
        self.assertEqual(processes_in(self.directory), [process])
        self.assert_serves(self.port())
        os.kill(process, signal.SIGTERM)
        wait_until(lambda: not processes_in(self.directory), "it ended")
        self.assertFalse((self.directory / "daemon.pid").exists())
        log = (self.directory / "daemon.log").read_text()
        self.assertIn("Server Shut Down.", log)
        self.assertNotIn("Traceback", log)

    def test_settings(self) -> None:
        """
        Flags, variables and the log's format apply in the background too.
        """
        self.start_in_background("--log-format", "json", environment={f"{PREFIX}ARCHIVE_DIR": "archive"})
        self.assert_serves(self.port())
        self.assertTrue((self.directory / "archive" / "m").is_dir())
        for line in (self.directory / "daemon.log").read_text().splitlines():
            self.assertIn("message", json.loads(line))
