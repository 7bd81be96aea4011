"""
Tests of the command line of a real twistd.
"""

import os
import tempfile
import tomllib
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.unit.twistd_process import TAP, run_twistd, run_twistd_to
from twisted_registry import __version__

PREFIX = "COGMENT_MODEL_REGISTRY_"
SERVICE = "from twisted_registry.daemon.options import Options"


class TwistdTests(SynchronousTestCase):
    """
    Options that a real twistd parses.
    """

    def twistd(self, *arguments: str, **environ: str) -> tuple[int, str, str]:
        """
        Run twistd, and return its exit status, stdout and stderr.
        """
        with tempfile.TemporaryDirectory() as folder:
            done = run_twistd(Path(folder), SERVICE, *arguments, **environ)
        return done.returncode, done.stdout, done.stderr

    def twistd_to(self, stdout: int, *arguments: str) -> tuple[int, str]:
        """
        Run twistd with a descriptor as stdout, and return its exit status and stderr.
        """
        with tempfile.TemporaryDirectory() as folder:
            done = run_twistd_to(stdout, Path(folder), SERVICE, *arguments)
        return done.returncode, done.stderr

    def test_bad_value(self) -> None:
        """
        An invalid value gives one line on stderr and status 1, in the foreground and in the background.
        """
        line = "twistd model-registry: --port is 'x'; expected a whole number from 0 to 65535\n"
        for mode in (["--nodaemon"], []):
            self.assertEqual(self.twistd(*mode, TAP, "--port=x"), (1, "", line))

    def test_bad_variable(self) -> None:
        """
        Variables are read from the environment of the process.
        """
        status, _, said = self.twistd(TAP, **{PREFIX + "GRPC_REFLECTION": "maybe"})
        self.assertEqual((status, said.count("\n")), (1, 1))
        self.assertIn(f"{PREFIX}GRPC_REFLECTION is 'maybe'", said)

    def test_config_file(self) -> None:
        """
        --config and the variable name a file; an error in it is one line on stderr.
        """
        path = Path(self.mktemp())
        path.write_text("[network]\nprot = 1\n")
        line = (
            f"twistd model-registry: {path.absolute()}: 'network.prot' is not a setting; did you mean network.port?\n"
        )
        self.assertEqual(self.twistd(TAP, f"--config={path.absolute()}"), (1, "", line))
        self.assertEqual(self.twistd(TAP, **{PREFIX + "CONFIG": str(path.absolute())}), (1, "", line))

    def test_check_config(self) -> None:
        """
        --check-config prints the effective settings with their origins, as TOML, and warnings on stderr.
        """
        status, said, warned = self.twistd(TAP, "--check-config", "--port=7", **{PREFIX + "MAX_CALL": "1"})
        self.assertEqual(status, 0, warned)
        self.assertIn("\nport = 7  # --port\n", f"\n{said}")
        self.assertEqual(tomllib.loads(said)["storage"]["transient"], "memory")
        self.assertRegex(
            warned, rf"^twistd model-registry: warning: .*{PREFIX}MAX_CALL.*did you mean {PREFIX}MAX_CALLS\?$"
        )

    def test_check_config_fails(self) -> None:
        """
        It prints all errors; descriptions of storage are checked too, and nothing is created.
        """
        status, said, errors = self.twistd(TAP, "--check-config", "--port=x", "--max-calls=0")
        self.assertEqual((status, said, errors.count("\n")), (1, "", 2), errors)
        status, said, errors = self.twistd(TAP, "--check-config", "--archive=nope:x")
        self.assertEqual((status, said), (1, ""))
        self.assertIn("there is no archive 'nope'", errors)

    def test_help(self) -> None:
        """
        --help prints the help.
        """
        status, said, _ = self.twistd(TAP, "--help")
        self.assertEqual(status, 0)
        self.assertIn(f"{PREFIX}PORT", said)

    def test_version(self) -> None:
        """
        --version prints the version.
        """
        self.assertEqual(self.twistd(TAP, "--version"), (0, f"twisted-registry {__version__}\n", ""))

    def test_nobody_reads(self) -> None:
        """
        If nobody reads what it prints, it ends without a message.
        """
        reads, writes = os.pipe()
        os.close(reads)
        self.addCleanup(os.close, writes)
        for flag in ("--check-config", "--help", "--version"):
            self.assertEqual(self.twistd_to(writes, TAP, flag), (1, ""), flag)

    def test_full_disk(self) -> None:
        """
        If what it prints cannot be written, it says so in one line.
        """
        with open("/dev/full", "w") as full:
            for flag in ("--check-config", "--help"):
                said = "twistd model-registry: stdout: No space left on device\n"
                self.assertEqual(self.twistd_to(full.fileno(), TAP, flag), (1, said))
