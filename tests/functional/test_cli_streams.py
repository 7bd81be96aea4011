"""
The commands where the streams of the shell are closed, full, or read by nobody.
"""

import os
import subprocess
from pathlib import Path

from tests.support.cli import TWISTED_REGISTRY, settings
from tests.support.daemon import PATIENCE_SECONDS, clean_environment
from tests.support.registry_case import SharedRegistryTestCase


class StreamTests(SharedRegistryTestCase):
    """
    Streams that are of no use.
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
        Run a line in a shell, with C{$m} the model and C{$f} the file, and give its status and what is on stderr.
        """
        environment = clean_environment({**settings(self.daemon.address), "m": self.model_id, "f": str(self.path)})
        environment["PATH"] = f"{os.path.dirname(TWISTED_REGISTRY)}:{environment['PATH']}"
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", line],
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        return done.returncode, done.stderr

    def test_closed_stdout(self) -> None:
        """
        With stdout closed it is 2 and a line, and nothing is done.
        """
        for command in ("push $m $f", "ls", "--help"):
            status, said = self.sh(f"twisted-registry {command} >&-")
            self.assertEqual(status, 2)
            self.assertRegex(said, r"^twisted-registry: stdout is closed: .*\n$")
        self.assertEqual(len(self.client.infos(self.model_id).version_infos), 0)

    def test_full_disk(self) -> None:
        """
        Where the disk behind stdout is full it is 2 and a line, for help as well.
        """
        for command in ("push $m $f", "info $m", "ls --json", "completion zsh", "--help", "push --help"):
            status, said = self.sh(f"twisted-registry {command} >/dev/full")
            self.assertEqual(status, 2, command)
            self.assertRegex(said, r"^twisted-registry: (stdout: )?No space left on device\n$")

    def test_nobody_reads(self) -> None:
        """
        Where nobody reads the pipe it is 2 without a word, for help as well.
        """
        for command in ("ls", "completion bash", "--help"):
            # It waits until the reader has gone.
            line = f"{{ sleep 0.3; twisted-registry {command}; }} | :"
            self.assertEqual(self.sh(line), (2, ""), command)

    def test_closed_stdin(self) -> None:
        """
        With stdin closed it is 2 where stdin is wanted, and no matter elsewhere.
        """
        for command in ("push $m -", "rm $m"):
            status, said = self.sh(f"twisted-registry {command} <&-")
            self.assertEqual((status, "Traceback" in said), (2, False), said)
        self.assertEqual(self.sh("twisted-registry push $m $f <&-"), (0, ""))

    def test_closed_stderr(self) -> None:
        """
        With stderr closed the status tells.
        """
        self.assertEqual(self.sh("twisted-registry info $m 2>&-"), (0, ""))
        self.assertEqual(self.sh("twisted-registry info nobody 2>&-"), (1, ""))
        self.assertEqual(self.sh("twisted-registry info $m <&- >&- 2>&-"), (2, ""))
