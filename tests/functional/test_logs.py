"""
Tests for the log of a daemon whose output is not read, and for signals.
"""

import fcntl
import os
import re
import signal
import subprocess
import threading

import grpc
from grpc_health.v1.health_pb2 import HealthCheckResponse

from tests.functional.test_daemon import DaemonTestCase
from tests.support.client import Client
from tests.support.daemon import TIMEOUT_SECONDS, TWISTD, clean_environment, processes_in, run_twistd, wait_until
from tests.support.pipes import fill_pipe

_PIPE_BYTES = 4096


class UnreadOutputTests(DaemonTestCase):
    """
    A daemon whose output is read until it listens, or not at all.
    """

    def setUp(self) -> None:
        """
        Make a small pipe.
        """
        super().setUp()
        self.reader, self.writer = os.pipe()
        fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self.addCleanup(os.close, self.reader)

    def launch(self, *flags: str) -> "subprocess.Popen[bytes]":
        """
        Start a daemon that writes to the pipe.
        """
        process = subprocess.Popen(
            [TWISTD, "--nodaemon", "--pidfile=", "model-registry", *flags],
            cwd=self.directory,
            env=clean_environment(),
            stdout=self.writer,
            stderr=self.writer,
        )
        os.close(self.writer)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def damaged(self, client: Client, count: int) -> None:
        """
        Request damaged versions, each of which is logged.
        """
        for number in range(count):
            client.save_model(f"m{number}")
            client.create(f"m{number}", bytes(2_000_000), archived=True)
            os.truncate(self.directory / "archive" / f"m{number}" / f"m{number}-v000001.data", 1)
        for number in range(count):
            self.assertRaises(grpc.RpcError, client.data, f"m{number}", 1)

    def test_the_reader_stands_still(self) -> None:
        """
        All calls work while the log cannot be written, and SIGTERM stops the daemon.
        """
        # No copies of archived versions are kept, so that they are read from the disk.
        flags = ("--port", "0", "--archive-dir", "archive", "--version-cache-max-bytes", "1000000")
        process = self.launch(*flags)
        said = b""
        while not (match := re.search(rb"listening on 127\.0\.0\.1:(\d+)", said)):
            said += os.read(self.reader, 65536)
        port = int(match[1])
        client = self.connect(port)
        self.damaged(client, 30)
        self.assert_serves(port)
        self.assertEqual(client.health(), HealthCheckResponse.SERVING)
        process.terminate()
        self.assertEqual(process.wait(TIMEOUT_SECONDS), 0)

    def test_nobody_reads_from_the_start(self) -> None:
        """
        If the output is full already, a failed start still exits with its status.
        """
        fill_pipe(self.writer)
        process = self.launch("--port", "0", "--archive-dir", "/dev/null/archive")
        self.assertEqual(process.wait(TIMEOUT_SECONDS), 1)

    def test_grpc_prints(self) -> None:
        """
        Output of gRPC itself delays nothing either.
        """
        fill_pipe(self.writer)
        log = self.directory / "daemon.log"
        environment = clean_environment({"GRPC_VERBOSITY": "DEBUG", "GRPC_TRACE": "http,api"})
        process = subprocess.Popen(
            [TWISTD, "--nodaemon", "--pidfile=", "--logfile", str(log), "model-registry", "--port", "0"],
            cwd=self.directory,
            env=environment,
            stderr=self.writer,
        )
        os.close(self.writer)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        match = wait_until(
            lambda: re.search(r"listening on \S+:(\d+)", log.read_text() if log.exists() else ""), "it listens"
        )
        assert match is not None
        self.assert_serves(int(match[1]))
        process.terminate()
        self.assertEqual(process.wait(TIMEOUT_SECONDS), 0)

    def test_all_is_read(self) -> None:
        """
        A log that is read slowly is read whole, to the last line before the end.
        """
        process = self.launch("--port", "0", "--archive-dir", "archive")
        lines: list[bytes] = []
        listening = threading.Event()

        def read() -> None:
            with open(self.reader, "rb", closefd=False) as pipe:
                for line in pipe:
                    lines.append(line)
                    if b"listening on" in line:
                        listening.set()

        reader = threading.Thread(target=read)
        reader.start()
        self.assertTrue(listening.wait(TIMEOUT_SECONDS))
        process.terminate()
        self.assertEqual(process.wait(TIMEOUT_SECONDS), 0)
        reader.join(TIMEOUT_SECONDS)
        self.assertIn(b"starting up", lines[0])
        self.assertIn(b"Server Shut Down.", lines[-1])

    def test_no_output(self) -> None:
        """
        A daemon that was started with closed streams serves and stops, and no output gets into its files.
        """
        os.close(self.writer)
        log = self.directory / "daemon.log"
        process = subprocess.Popen(
            f"exec {TWISTD} --nodaemon --pidfile= --logfile daemon.log model-registry --port 0 >&- 2>&-",
            shell=True,
            cwd=self.directory,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        match = wait_until(
            lambda: re.search(r"listening on \S+:(\d+)", log.read_text() if log.exists() else ""), "it listens"
        )
        assert match is not None
        self.assert_serves(int(match[1]))
        process.terminate()
        self.assertEqual(process.wait(TIMEOUT_SECONDS), 0)


class SignalTests(DaemonTestCase):
    """
    Signals that rotate the log and reload.
    """

    def setUp(self) -> None:
        """
        Set the name of the log.
        """
        super().setUp()
        self.log = self.directory / "daemon.log"
        self.addCleanup(self.kill)

    def kill(self) -> None:
        """
        Kill the remaining processes.
        """
        for process in processes_in(self.directory):
            os.kill(process, signal.SIGKILL)

    def start_twistd(self, *options: str) -> int:
        """
        Start a daemon that logs to a file, and wait until it serves.

        Returns:
            its process's id.
        """
        command = (*options, "--logfile", str(self.log), "model-registry", "--port", "0", "--archive-dir", "archive")
        if "--nodaemon" in options:
            process = subprocess.Popen([TWISTD, *command], cwd=self.directory, env=clean_environment())
            self.addCleanup(process.wait)
            self.addCleanup(process.kill)
        else:
            self.assertEqual(run_twistd(self.directory, *command).returncode, 0)
        wait_until(lambda: self.log.exists() and "listening on" in self.log.read_text(), "it serves")
        (number,) = processes_in(self.directory)
        return number

    def assert_signals(self, process: int) -> None:
        """
        Check the effect of each signal.
        """
        for number in (signal.SIGHUP, signal.SIGUSR1):
            moved = self.log.rename(self.directory / f"moved-{number}")
            os.kill(process, number)
            wait_until(self.log.exists, f"it goes on in a new file after {number!r}")
            self.assertIn("[", moved.read_text())
        os.kill(process, signal.SIGUSR1)
        wait_until((self.directory / "daemon.log.1").exists, "it has rotated the log itself")
        os.kill(process, signal.SIGTERM)
        wait_until(lambda: "stopped" in self.log.read_text(), "it has stopped")
        wait_until(lambda: "Server Shut Down." in self.log.read_text(), "its last line is in the new file")

    def test_in_the_foreground(self) -> None:
        """
        After SIGHUP and SIGUSR1 a log that was moved away is started again; SIGUSR1 moves it away if nobody did.
        """
        self.assert_signals(self.start_twistd("--nodaemon", "--pidfile="))

    def test_in_the_background(self) -> None:
        """
        The same is true in the background.
        """
        self.assert_signals(self.start_twistd("--pidfile", "daemon.pid"))
        wait_until(lambda: not processes_in(self.directory), "it has ended")

    def test_on_stdout(self) -> None:
        """
        If the log goes to stdout, neither signal ends anything.
        """
        daemon = self.start()
        for number in (signal.SIGUSR1, signal.SIGHUP):
            daemon.process.send_signal(number)
        daemon.wait_for("reloaded on SIGHUP")
        self.assert_serves(daemon.port)
        self.assertEqual(daemon.stop(), 0)
