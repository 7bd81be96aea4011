"""
Tests for ``twisted_registry.daemon.startup``.
"""

import os
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from tests.support.pipes import fill_pipe
from twisted_registry.daemon.startup import Terminal, unblock


class PipeTestCase(SynchronousTestCase):
    """
    A pipe to the process that starts the daemon.
    """

    def setUp(self) -> None:
        """
        Make the pipe.
        """
        self.reader, self.writer = os.pipe()
        for descriptor in (self.reader, self.writer):
            self.addCleanup(os.close, descriptor)


class TerminalTests(PipeTestCase):
    """
    Reports to the process that starts the daemon.
    """

    def test_said(self) -> None:
        """
        A line is written to the reader.
        """
        terminal = Terminal(self.writer)
        terminal.report("the port is taken")
        terminal.close()
        terminal.report("nobody hears this")
        self.assertEqual(os.read(self.reader, 100), b"the port is taken\n")

    def test_nobody_reads(self) -> None:
        """
        A report does not wait for a reader that does not read.
        """
        fill_pipe(self.writer)
        terminal = Terminal(self.writer, wait_seconds=0)
        terminal.report("the port is taken")
        terminal.close()


class UnblockTests(PipeTestCase):
    """
    Output of C libraries.
    """

    def test_pipe(self) -> None:
        """
        A write to a full pipe fails at once; other users of the pipe are not affected.
        """
        shared = os.dup(self.writer)
        self.addCleanup(os.close, shared)
        unblock(self.writer)
        self.assertFalse(os.get_blocking(self.writer))
        self.assertTrue(os.get_blocking(shared))
        os.write(self.writer, b"line\n")
        self.assertEqual(os.read(self.reader, 100), b"line\n")

    def test_others(self) -> None:
        """
        A file and a closed stream are unchanged.
        """
        path = self.mktemp()
        descriptor = os.open(path, os.O_CREAT | os.O_WRONLY)
        unblock(descriptor)
        self.assertTrue(os.get_blocking(descriptor))
        os.close(descriptor)
        unblock(descriptor)


_ENDING = """
import os, signal
from twisted_registry.daemon.startup import ignore_at_exit

class Last:
    def __del__(self, pid=os.getpid(), kill=os.kill, number=signal.SIGHUP):
        kill(pid, number)

signal.signal(signal.SIGHUP, lambda *_: None)
ignore_at_exit(signal.SIGHUP)
last = Last()
"""


class ExitTests(SynchronousTestCase):
    """
    The shutdown of the interpreter.
    """

    def test_signalled(self) -> None:
        """
        A signal during the interpreter's shutdown does not change the exit status.
        """
        self.assertEqual(subprocess.run([sys.executable, "-c", _ENDING], timeout=120, check=False).returncode, 0)
