"""
Tests of the unit files in ``deploy/systemd``.
"""

import re
import shutil
import sys
from ctypes.util import find_library
from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from tests.support.daemon import Daemon, run_command
from tests.support.system_calls import permitted, with_system_calls
from twisted_registry.client import BlockingClient
from twisted_registry.config.network import NetworkSettings

DIRECTORY = Path(__file__).parents[2] / "deploy" / "systemd"
UNIT, SOCKET = DIRECTORY / "model-registry.service", DIRECTORY / "model-registry.socket"
DROP_IN = DIRECTORY / "model-registry.service.d" / "sockets.conf"
TWISTD = "/opt/model-registry/bin/twistd"


def tool(name: str) -> str:
    """
    Return the path of one of systemd's programs; skip the test if systemd is not installed.
    """
    found = shutil.which(name)
    if found is None:
        raise SkipTest("systemd is not installed")
    return found


class UnitTestCase(SynchronousTestCase):
    """
    The units, with the twistd of this environment.
    """

    def setUp(self) -> None:
        """
        Copy them.
        """
        self.directory = Path(self.mktemp()).absolute()
        shutil.copytree(DIRECTORY, self.directory)
        self.unit = UNIT.read_text().replace(TWISTD, str(Path(sys.executable).with_name("twistd")))
        self.assertNotIn(TWISTD, self.unit)
        (self.directory / UNIT.name).write_text(self.unit)

    def value(self, key: str) -> str:
        """
        Return the only value of a key of the service.
        """
        (found,) = re.findall(rf"^{key}=(.*)$", self.unit, re.MULTILINE)
        return str(found)


class AnalysisTests(UnitTestCase):
    """
    The results of systemd's own programs.
    """

    def test_accepted(self) -> None:
        """
        systemd finds no mistake in the service, with and without its sockets.
        """
        analyze = tool("systemd-analyze")
        units = [str(self.directory / name.name) for name in (UNIT, SOCKET)]
        for given in (units, units[:1]):
            checked = run_command(self.directory, analyze, "verify", "--man=no", "--recursive-errors=no", *given)
            self.assertEqual((checked.stderr, checked.returncode), ("", 0))
            shutil.rmtree(self.directory / DROP_IN.parent.name, ignore_errors=True)

    def test_exposure(self) -> None:
        """
        The service can do little harm: its score is below 2 of 10.
        """
        words = ("security", "--offline=true", "--no-pager", "--threshold=19", str(self.directory / UNIT.name))
        checked = run_command(self.directory, tool("systemd-analyze"), *words)
        self.assertEqual(checked.returncode, 0, checked.stdout)

    def test_user_and_directory(self) -> None:
        """
        The user and the directory of the snippets are those of the service.
        """
        root = self.directory / "root"
        (root / "etc").mkdir(parents=True)
        made = run_command(self.directory, tool("systemd-sysusers"), f"--root={root}", str(DIRECTORY / "sysusers.conf"))
        self.assertEqual(made.returncode, 0, made.stderr)
        self.assertTrue((root / "etc" / "passwd").read_text().startswith(f"{self.value('User')}:"))
        self.assertTrue((root / "etc" / "group").read_text().startswith(f"{self.value('Group')}:"))
        line = (DIRECTORY / "tmpfiles.conf").read_text().splitlines()[-1]
        kind, path, mode, _, group = line.split()
        self.assertEqual((kind, mode, group), ("d", self.value("ConfigurationDirectoryMode"), self.value("Group")))
        self.assertEqual(path, f"/etc/{self.value('ConfigurationDirectory')}")


class CommandTests(UnitTestCase):
    """
    The command of the service.
    """

    def flags(self) -> list[str]:
        """
        Return the flags of the command, with an archive here.
        """
        return (
            self.value("ExecStart")
            .replace("/var/lib/model-registry", "archive")
            .partition("model-registry ")[2]
            .split()
        )

    def test_accepted(self) -> None:
        """
        The daemon accepts the command line, also with the variables of the sockets.
        """
        variables = dict(each.split("=") for each in re.findall(r"^Environment=(.*)$", DROP_IN.read_text(), re.M))
        for environment in ({}, variables):
            command = self.value("ExecStart").replace("/var/lib/model-registry", "archive").split()
            checked = run_command(self.directory, *command, "--check-config", environment=environment)
            self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def test_system_calls(self) -> None:
        """
        The daemon needs no system call that the service forbids.
        """
        if find_library("seccomp") is None:
            raise SkipTest("libseccomp is not installed")
        calls = permitted(self.unit, tool("systemd-analyze"))
        self.assertIn("openat", calls)
        self.assertNotIn("mount", calls)
        flags = ("--socket=r.sock", "--http-port=0")
        daemon = Daemon(self.directory, (*self.flags(), *flags))
        daemon.prefix = with_system_calls(calls)
        self.addCleanup(daemon.kill)
        daemon.start()
        with BlockingClient(daemon.address) as client:
            client.save_model("walker")
            client.store("walker", b"1")
            self.assertEqual(client.retrieve("walker"), b"1")
        self.assertEqual(daemon.stop(), 0, daemon.log)
        self.assertNotIn("not permitted", daemon.log)
        self.assertNotRegex(daemon.log, "#(error|critical)]")

    def test_forbidden(self) -> None:
        """
        The test of the system calls can fail: without one that it needs, the daemon does not start.
        """
        if find_library("seccomp") is None:
            raise SkipTest("libseccomp is not installed")
        calls = [call for call in permitted(self.unit, tool("systemd-analyze")) if call not in ("bind", "listen")]
        done = run_command(
            self.directory,
            *with_system_calls(calls),
            sys.executable,
            "-c",
            "import socket; socket.create_server(('', 0))",
        )
        self.assertIn("Operation not permitted", done.stderr)


class StopTests(UnitTestCase):
    """
    The end of the service.
    """

    def test_times_fit(self) -> None:
        """
        systemd waits longer than the daemon takes to stop.
        """
        self.assertRegex(self.value("TimeoutStopSec"), "^[0-9]+s$")
        self.assertLess(NetworkSettings().grace_seconds + 20, int(self.value("TimeoutStopSec")[:-1]))


class SocketTests(UnitTestCase):
    """
    The sockets.
    """

    def test_addresses(self) -> None:
        """
        systemd listens on the addresses of the daemon's settings.
        """
        variables = dict(each.split("=") for each in re.findall(r"^Environment=(.*)$", DROP_IN.read_text(), re.M))
        prefix = "COGMENT_MODEL_REGISTRY_"
        http = f"{variables[prefix + 'HTTP_INTERFACE']}:{variables[prefix + 'HTTP_PORT']}"
        streams = re.findall(r"^ListenStream=(.*)$", SOCKET.read_text(), re.M)
        self.assertEqual(streams, [variables[f"{prefix}SOCKET"], http])

    def test_directory(self) -> None:
        """
        The socket is in the directory of the service, which stays when the daemon stops.
        """
        streams = re.findall(r"^ListenStream=(/.*)$", SOCKET.read_text(), re.M)
        self.assertEqual([str(Path(each).parent) for each in streams], [f"/run/{self.value('RuntimeDirectory')}"])
        self.assertEqual(self.value("RuntimeDirectoryPreserve"), "yes")
