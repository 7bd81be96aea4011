"""
The runner of commands.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ProcessDone
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_registry.deliveries.destinations import Command
from twisted_registry.deliveries.messages import Message
from twisted_registry.deliveries.schedule import DELIVERED, Outcome

_log = Logger()

_PREFIX = "TWISTED_REGISTRY_"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_TERM_SECONDS = 5.0
_LINES_MAX = 20
_LINE_MAX_BYTES = 500

_START = """
import os, signal, sys
os.setsid()
os.chdir("/")
for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and the command would too
    signal.signal(number, signal.SIG_DFL)
try:
    os.execv(sys.argv[1], sys.argv[1:])
except OSError as error:
    sys.exit(f"it cannot be run: {error.strerror}")
"""
"""A program that becomes the command, in a separate group of processes."""


def variables_of(message: Message) -> Mapping[str, str]:
    """
    Return the environment of a command: a path, and the main fields of the event.
    """
    event = json.loads(message.body)
    data = event["data"]
    facts = next((each for each in data.values() if isinstance(each, dict)), {})
    number = facts.get("number") or facts.get("toNumber")
    fields = {
        "EVENT_ID": message.message_id,
        "EVENT_TYPE": event["type"],
        "EVENT_ATTEMPT": message.attempts + 1,
        "MODEL_ID": data.get("modelId"),
        "VERSION_NUMBER": number,
        "ALIAS": facts.get("alias"),
    }
    given = {f"{_PREFIX}{name}": str(value) for name, value in fields.items() if value}
    return {"PATH": _PATH, "LANG": "C.UTF-8", **given}


class CommandRunner:
    """
    A runner of commands.
    """

    def __init__(self, reactor: Any, term_seconds: float = _TERM_SECONDS) -> None:
        """

        Args:
            term_seconds: how long a command may take to end after SIGTERM.
        """
        self._reactor = reactor
        self._term_seconds = term_seconds
        self._running: set[_Running] = set()
        self._idle: list[Deferred[None]] = []

    def run(self, command: Command, message: Message) -> "Deferred[Outcome]":
        """
        Run a command once, with the event on its stdin.

        Returns:
            fires with the result when the process has ended.  Cancel it to end the process, which takes some seconds
            at most; ``idle`` waits for that.
        """
        running = _Running(self._reactor, command, message.body, self._term_seconds, self._ended)
        self._running.add(running)
        try:
            self._reactor.spawnProcess(
                running,
                sys.executable,
                [sys.executable, "-I", "-S", "-c", _START, *command.run],
                env=variables_of(message),
            )
        except OSError as error:  # too many processes or open files
            running.fail(f"no process can be started: {error.strerror}")
        return running.ended

    def _ended(self, running: "_Running") -> None:
        self._running.discard(running)
        if not self._running:
            idle, self._idle = self._idle, []
            for each in idle:
                each.callback(None)

    def idle(self) -> "Deferred[None]":
        """
        Wait until no command runs.

        Returns:
            fires with ``None``.
        """
        if not self._running:
            return succeed(None)
        waiter: Deferred[None] = Deferred()
        self._idle.append(waiter)
        return waiter


class _Running(ProcessProtocol):
    """
    A command that runs.
    """

    def __init__(
        self, reactor: Any, command: Command, body: bytes, term_seconds: float, gone: "Callable[[_Running], None]"
    ) -> None:
        self._reactor = reactor
        self._term_seconds = term_seconds
        self._gone = gone
        self._command = command
        self._body = body
        self._rest = b""
        self._lines = 0
        self._is_late = False
        self._kill: Any = None
        self._timer = reactor.callLater(command.timeout_seconds, self._time_out)
        self.ended: Deferred[Outcome] = Deferred(lambda _: self._terminate())

    def connectionMade(self) -> None:
        assert self.transport is not None
        self._pid = self.transport.pid
        self.transport.write(self._body)
        self.transport.closeStdin()

    def errReceived(self, data: bytes) -> None:
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[:_LINE_MAX_BYTES]
        for line in lines:
            self._log_line(line)

    def _log_line(self, line: bytes) -> None:
        self._lines += 1
        if self._lines <= _LINES_MAX and line:
            text = line[:_LINE_MAX_BYTES].decode("utf-8", "replace")
            _log.info("the command {name} wrote: {text!r}", name=self._command.name, text=text)

    def _time_out(self) -> None:
        self._is_late = True
        self._terminate()

    def _terminate(self) -> None:
        if self._kill is None:
            self._signal(signal.SIGTERM)
            self._kill = self._reactor.callLater(self._term_seconds, self._signal, signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        # Just after its start, the process is not yet in a group of this name.
        with suppress(OSError):
            os.killpg(self._pid, number)
            return
        with suppress(OSError):
            os.kill(self._pid, number)

    def processExited(self, reason: Failure) -> None:
        """
        End what the command has left running: it would hold its pipes open.
        """
        assert self.transport is not None
        with suppress(OSError):
            os.killpg(self._pid, signal.SIGKILL)
        self.transport.loseConnection()

    def fail(self, problem: str) -> None:
        """
        End: there is no process.
        """
        self._end(Outcome(problem))

    def processEnded(self, reason: Failure) -> None:
        if self._rest:
            self._log_line(self._rest)
        if self._lines > _LINES_MAX:
            _log.info(
                "the command {name} wrote {count} more lines", name=self._command.name, count=self._lines - _LINES_MAX
            )
        self._end(self._outcome(reason))

    def _end(self, outcome: Outcome) -> None:
        for each in (self._timer, self._kill):
            if each is not None and each.active():
                each.cancel()
        self._gone(self)
        if not self.ended.called:
            self.ended.callback(outcome)

    def _outcome(self, reason: Failure) -> Outcome:
        if self._is_late:
            return Outcome(f"it took longer than {self._command.timeout_seconds:g} s")
        if reason.check(ProcessDone):
            return DELIVERED
        number = getattr(reason.value, "signal", None)
        if number is not None:
            return Outcome(f"it was ended by signal {number}")
        return Outcome(f"it ended with status {getattr(reason.value, 'exitCode', None)}")
