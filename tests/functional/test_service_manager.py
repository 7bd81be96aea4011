"""
Tests of a daemon under a service manager, and of the unit file for systemd.
"""

import shutil
import socket
import subprocess
import sys
from pathlib import Path
from unittest import SkipTest
from uuid import uuid4

from twisted.trial.unittest import SynchronousTestCase

from tests.support.daemon import TIMEOUT_SECONDS, Daemon
from twisted_registry.config.network import NetworkSettings

UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "model-registry.service"


class NoticeTests(SynchronousTestCase):
    """
    A daemon with a service manager that watches it.
    """

    def test_life(self) -> None:
        """
        It reports that it serves, that it still runs, and that it stops.
        """
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        name = f"registry-test-{uuid4().hex}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
            receiver.bind(f"\0{name}")
            receiver.settimeout(TIMEOUT_SECONDS)
            daemon = Daemon(
                directory, ("--archive-dir", "archive"), {"NOTIFY_SOCKET": f"@{name}", "WATCHDOG_USEC": "300000"}
            )
            self.addCleanup(daemon.kill)
            daemon.start()
            self.assertEqual(receiver.recv(4096), b"READY=1\nSTATUS=Serving.")
            for _ in range(3):
                self.assertEqual(receiver.recv(4096), b"WATCHDOG=1")
            self.assertEqual(daemon.stop(), 0, daemon.log)
            receiver.setblocking(False)
            self.assertIn(b"STOPPING=1\nSTATUS=Waiting for running calls.", messages_in(receiver))


def messages_in(receiver: socket.socket) -> list[bytes]:
    """
    Return the messages that have arrived.
    """
    messages = []
    while True:
        try:
            messages.append(receiver.recv(4096))
        except BlockingIOError:
            return messages


class UnitFileTests(SynchronousTestCase):
    """
    The unit file in ``deploy/systemd``.
    """

    def unit(self) -> str:
        """
        Return the unit file, with the twistd of this environment.
        """
        text = UNIT.read_text(encoding="utf-8")
        self.assertIn("/opt/model-registry/bin/twistd", text)
        return text.replace("/opt/model-registry/bin/twistd", str(Path(sys.executable).with_name("twistd")))

    def test_systemd_accepts_it(self) -> None:
        """
        systemd finds no mistake in it.
        """
        analyze = shutil.which("systemd-analyze")
        if analyze is None:
            raise SkipTest("systemd is not installed")
        directory = Path(self.mktemp())
        directory.mkdir()
        copy = directory / "model-registry.service"
        copy.write_text(self.unit())
        command = [analyze, "verify", "--man=no", "--recursive-errors=no", str(copy)]
        checked = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
        self.assertEqual((checked.stderr, checked.returncode), ("", 0))

    def test_command_is_accepted(self) -> None:
        """
        The daemon accepts the command line.
        """
        (line,) = [line for line in self.unit().splitlines() if line.startswith("ExecStart=")]
        directory = Path(self.mktemp())
        directory.mkdir()
        command = line.removeprefix("ExecStart=").replace("/var/lib/model-registry", "archive").split()
        checked = subprocess.run(
            [*command, "--check-config"], cwd=directory, capture_output=True, timeout=TIMEOUT_SECONDS, check=False
        )
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def test_times_fit(self) -> None:
        """
        systemd waits longer than the daemon takes to stop.
        """
        self.assertIn("TimeoutStopSec=90s", self.unit())
        self.assertLess(NetworkSettings().grace_seconds + 20, 90)
