"""
Tests for closed, full and unread standard streams.
"""

import os
import subprocess
from pathlib import Path

from tests.support.cli import TWISTED_REGISTRY, settings, started
from tests.support.daemon import TIMEOUT_SECONDS, clean_environment
from tests.support.edge import SharedEdgeTestCase


class StreamTests(SharedEdgeTestCase):
    """
    Streams that cannot be used.
    """

    def setUp(self) -> None:
        """
        Make a model and a file.
        """
        super().setUp()
        self.client.save_model(self.model_id)
        self.path = Path(self.mktemp()).absolute()
        self.path.write_bytes(b"data")

    def sh(self, line: str) -> tuple[int, str]:
        """
        Run a line in a shell, with ``$m`` the model and ``$f`` the file, and return its status and stderr.
        """
        done = self.run_line(line)
        return done.returncode, done.stderr

    def run_line(self, line: str, stdout: int = subprocess.PIPE) -> "subprocess.CompletedProcess[str]":
        """
        Run a line in a shell, in an empty directory.

        Args:
            stdout: where its output goes; by default to the result.
        """
        folder = Path(self.mktemp())
        folder.mkdir()
        environment = clean_environment({**settings(self.daemon.address), "m": self.model_id, "f": str(self.path)})
        environment["PATH"] = f"{os.path.dirname(TWISTED_REGISTRY)}:{environment['PATH']}"
        return subprocess.run(
            ["bash", "-o", "pipefail", "-c", line],
            cwd=folder,
            env=environment,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )

    def test_closed_stdout(self) -> None:
        """
        With stdout closed: 2 and one line, and nothing is done.
        """
        for command in ("push $m $f", "ls", "--help"):
            status, said = self.sh(f"twisted-registry {command} >&-")
            self.assertEqual(status, 2)
            self.assertRegex(said, r"^twisted-registry: stdout is closed: .*\n$")
        self.assertEqual(len(self.client.infos(self.model_id).version_infos), 0)

    def test_full_disk(self) -> None:
        """
        If the disk behind stdout is full, the status is 2 with one line, also for help.
        """
        for command in ("push $m $f", "info $m", "ls --json", "completion zsh", "--help", "push --help"):
            status, said = self.sh(f"twisted-registry {command} >/dev/full")
            self.assertEqual(status, 2, command)
            self.assertRegex(said, r"^twisted-registry: (stdout: )?No space left on device\n$")

    def test_nobody_reads(self) -> None:
        """
        If nobody reads the pipe, the status is 2 and silent, also for help.
        """
        self.client.create(self.model_id, b"data")
        health = f"health --server {self.daemon.address}"
        asking = ("ls", "versions $m", "info $m", "status", health, "pull $m -", "watch $m", "push $m $f", "set $m a=b")
        reads, writes = os.pipe()
        os.close(reads)
        self.addCleanup(os.close, writes)
        for command in (*asking, "completion bash", "--help", "push --help"):
            done = self.run_line(f"twisted-registry {command}", writes)
            self.assertEqual((done.returncode, done.stderr), (2, ""), command)

    def test_closed_stdin(self) -> None:
        """
        With stdin closed: 2 for commands that read stdin; others are not affected.
        """
        for command in ("push $m -", "rm $m"):
            status, said = self.sh(f"twisted-registry {command} <&-")
            self.assertEqual((status, "Traceback" in said), (2, False), said)
        self.assertEqual(self.sh("twisted-registry push $m $f <&-"), (0, ""))

    def test_closed_stderr(self) -> None:
        """
        With stderr closed the status is the same.
        """
        self.assertEqual(self.sh("twisted-registry info $m 2>&-"), (0, ""))
        self.assertEqual(self.sh("twisted-registry info nobody 2>&-"), (1, ""))
        self.assertEqual(self.sh("twisted-registry info $m <&- >&- 2>&-"), (2, ""))

    def printed(self, line: str) -> str:
        """
        Run a line that succeeds, with ``$m`` a model of one version, and return what it prints.
        """
        self.client.create(self.model_id, b"data\n")
        done = self.run_line(line)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def test_names_of_stdout(self) -> None:
        """
        The names of stdout mean stdout, and earlier data in its file is kept.
        """
        for name in ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"):
            self.assertEqual(self.printed(f'twisted-registry pull "$m" {name} | cat'), "data\n")
            line = f'echo before > f; twisted-registry pull "$m" {name} >> f; cat f'
            self.assertEqual(self.printed(line), "before\ndata\n")
        self.assertEqual(self.sh('twisted-registry pull --json "$m" /dev/stdout')[0], 2)

    def test_other_descriptors(self) -> None:
        """
        The same is true for other descriptors, including ``>(...)`` in bash.
        """
        self.assertTrue(self.printed('twisted-registry pull "$m" /dev/fd/7 7>&1 >/dev/null').endswith("data\n"))
        line = 'twisted-registry pull "$m" >(cat > f) > /dev/null; until [ -s f ]; do sleep 0.01; done; cat f'
        self.assertEqual(self.printed(line), "data\n")
        self.assertEqual(self.printed('twisted-registry pull "$m" /dev/null > f; wc -l < f'), "1\n")
        status, said = self.sh('twisted-registry pull "$m" /dev/fd/7')
        self.assertEqual(status, 2)
        self.assertIn("/dev/fd/7: Bad file descriptor", said)

    def test_loop_of_links(self) -> None:
        """
        A link to itself is an error with status 2, and the link is kept.
        """
        self.assertEqual(
            self.printed('ln -s f f; twisted-registry pull "$m" f 2>/dev/null || echo $?; readlink f'), "2\nf\n"
        )

    def test_pipe_that_does_not_wait(self) -> None:
        """
        A pipe that another program has set nonblocking gets all data.
        """
        data = os.urandom(2_000_000)
        self.client.create(self.model_id, data)
        reads, writes = os.pipe()
        os.set_blocking(writes, False)
        with started(self.daemon.address, "pull", self.model_id, "-", stdout=writes) as process:
            os.close(writes)
            with open(reads, "rb") as pipe:
                self.assertTrue(pipe.read() == data)
            self.assertEqual(process.wait(TIMEOUT_SECONDS), 0)
