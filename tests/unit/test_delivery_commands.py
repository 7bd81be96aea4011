"""
Tests of commands that run on events, with real processes.
"""

import errno
import json
import os
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import CancelledError
from twisted.internet.task import deferLater
from twisted.logger import capturedLogs
from twisted.trial.unittest import TestCase

from tests.support.deliveries import ALL_EVENTS
from twisted_registry.deliveries.command import CommandRunner, variables_of
from twisted_registry.deliveries.destinations import Command
from twisted_registry.deliveries.messages import Message, message_body
from twisted_registry.deliveries.schedule import DELIVERED, Outcome
from twisted_registry.domain.aliases import AliasMove
from twisted_registry.domain.events import AliasChanged, Event, ModelDeleted, VersionCommitted, VersionDeleted
from twisted_registry.domain.models import VersionKey
from twisted_registry.rpc.event_json import event_to_json
from twisted_registry.testing.samples import version_info

_MOVE = AliasChanged("walker", 1, AliasMove("production", 2, 3, 5, sequence=1))


def message(event: Event = _MOVE, attempts: int = 0) -> Message:
    """
    Return the message of an event.
    """
    return Message(1, "msg_1", message_body(event, 5, event_to_json(event, 5)), attempts, 0)


class _FullReactor:
    """
    A reactor on a machine with too many processes.
    """

    callLater = reactor.callLater

    def spawnProcess(self, *arguments: object, **keywords: object) -> None:  # noqa: N802
        """
        Refuse.
        """
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))


class CommandTests(TestCase):
    """
    A shell as the command.
    """

    def setUp(self) -> None:
        """
        Make a directory.
        """
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.runner = CommandRunner(reactor)

    def command(self, script: str, seconds: float = 30.0) -> Command:
        """
        Return a command that runs a script in the shell.
        """
        return Command("mirror", ALL_EVENTS, seconds, ("/bin/sh", "-c", script, "sh", str(self.directory)))

    async def run_script(self, script: str, event: Event = _MOVE, seconds: float = 30.0) -> Outcome:
        """
        Run a script on an event.
        """
        return await self.runner.run(self.command(script, seconds), message(event))

    async def wait_for(self, path: Path) -> None:
        """
        Wait until a file is there.
        """
        while not path.exists():
            await deferLater(reactor, 0.01)

    def is_running(self, pid: int) -> bool:
        """
        Return whether a process runs.
        """
        try:
            return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
        except FileNotFoundError:
            return False

    async def test_event(self) -> None:
        """
        A command finds the event on stdin, and its arguments as they are written.
        """
        self.assertEqual(await self.run_script('cat > "$1/event"'), DELIVERED)
        event = json.loads((self.directory / "event").read_bytes())
        self.assertEqual((event["type"], event["data"]["aliasMoved"]["toNumber"]), ("alias.moved", 3))

    async def test_environment(self) -> None:
        """
        A command has a small environment, in which nothing of the daemon's is.
        """
        self.patch(os, "environ", {**os.environ, "SECRET": "hidden"})
        await self.run_script('/usr/bin/env > "$1/env"; pwd > "$1/pwd"')
        lines = dict(line.split("=", 1) for line in (self.directory / "env").read_text().splitlines())
        for own in ("PWD", "SHLVL", "_", "OLDPWD"):
            lines.pop(own, None)
        self.assertEqual(
            lines,
            {
                "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "LANG": "C.UTF-8",
                "TWISTED_REGISTRY_EVENT_ID": "msg_1",
                "TWISTED_REGISTRY_EVENT_TYPE": "alias.moved",
                "TWISTED_REGISTRY_EVENT_ATTEMPT": "1",
                "TWISTED_REGISTRY_MODEL_ID": "walker",
                "TWISTED_REGISTRY_VERSION_NUMBER": "3",
                "TWISTED_REGISTRY_ALIAS": "production",
            },
        )
        self.assertEqual((self.directory / "pwd").read_text(), "/\n")

    def test_variables_of_other_events(self) -> None:
        """
        A variable is missing if the event has nothing for it.
        """
        created = VersionCommitted(VersionKey("m", 1, 7), version_info("m", 7, b"x"))
        for event, number in (
            (created, "7"),
            (VersionDeleted(VersionKey("m", 1, 7), 1, is_latest=True), "7"),
            (ModelDeleted("m", 1), None),
        ):
            found = variables_of(message(event, 2))
            self.assertEqual(found.get("TWISTED_REGISTRY_VERSION_NUMBER"), number)
            self.assertEqual((found["TWISTED_REGISTRY_EVENT_ATTEMPT"], found["TWISTED_REGISTRY_MODEL_ID"]), ("3", "m"))
            self.assertNotIn("TWISTED_REGISTRY_ALIAS", found)

    async def test_failed(self) -> None:
        """
        A status other than 0, a signal, and a program that is missing are failures.
        """
        self.assertEqual(await self.run_script("exit 3"), Outcome("it ended with status 3"))
        self.assertEqual(await self.run_script("kill -9 $$"), Outcome("it was ended by signal 9"))
        missing = Command("mirror", ALL_EVENTS, 30.0, ("/does/not/exist",))
        with capturedLogs() as events:
            self.assertEqual(await self.runner.run(missing, message()), Outcome("it ended with status 1"))
        self.assertIn("it cannot be run: No such file or directory", [event.get("text") for event in events])

    async def test_no_process(self) -> None:
        """
        If no process can be started, the attempt has failed, and nothing runs.
        """
        runner = CommandRunner(_FullReactor())
        outcome = await runner.run(self.command("exit 0"), message())
        self.assertEqual(outcome, Outcome("no process can be started: Resource temporarily unavailable"))
        await runner.idle()

    async def test_signals(self) -> None:
        """
        A command begins with the usual signals: one that writes to a pipe that nobody reads ends.
        """
        self.assertEqual(await self.run_script('grep -E "Sig(Ign|Blk)" /proc/self/status > "$1/signals"'), DELIVERED)
        masks = [line.split()[1] for line in (self.directory / "signals").read_text().splitlines()]
        usual = sum(1 << (number - 1) for number in range(1, 32))
        self.assertEqual([int(mask, 16) & usual for mask in masks], [0, 0])

    async def test_stdin_is_not_read(self) -> None:
        """
        A command may ignore the event, also a large one.
        """
        metadata = {"key": "x" * 200_000}
        large = VersionCommitted(VersionKey("m", 1, 1), version_info("m", 1, b"x", metadata=metadata))
        self.assertEqual(await self.run_script("exec <&-; exit 0", large), DELIVERED)

    async def test_log(self) -> None:
        """
        Its stderr is in the log, as some lines of bounded length.
        """
        with capturedLogs() as events:
            await self.run_script('echo out; echo one >&2; printf "\\033[1m\\n" >&2; head -c 100000 /dev/zero >&2')
        texts = [event["text"] for event in events if "text" in event]
        self.assertEqual((texts[:2], len(texts)), (["one", "\x1b[1m"], 3))
        self.assertLess(len(texts[2]), 1000)
        with capturedLogs() as events:
            await self.run_script("for i in 1 2 3 4 5 6 7 8; do for j in a b c d e; do echo $i$j >&2; done; done")
        self.assertEqual((len(events), events[-1]["count"]), (21, 20))

    async def test_too_long(self) -> None:
        """
        A command that takes too long is ended with everything that it has started, although it ignores SIGTERM.
        """
        script = """
        trap '' TERM
        (trap '' TERM; echo $$ > /dev/null; while :; do sleep 0.05; done) &
        echo $! > "$1/child"
        wait; while :; do sleep 0.05; done
        """
        self.runner = CommandRunner(reactor, term_seconds=0.1)
        outcome = await self.run_script(script, seconds=0.5)
        self.assertEqual(outcome.problem, "it took longer than 0.5 s")
        child = int((self.directory / "child").read_text())
        while self.is_running(child):
            await deferLater(reactor, 0.01)

    async def test_what_it_leaves_running_is_ended(self) -> None:
        """
        A command that ends is done, also if a process that it started holds its pipes open.
        """
        self.assertEqual(await self.run_script('sleep 1000 & echo $! > "$1/child"'), DELIVERED)
        child = int((self.directory / "child").read_text())
        while self.is_running(child):
            await deferLater(reactor, 0.01)

    async def test_cancelled(self) -> None:
        """
        A command that is cancelled ends, and that can be waited for.
        """
        running = self.runner.run(self.command('echo $$ > "$1/new"; mv "$1/new" "$1/pid"; exec sleep 1000'), message())
        await self.wait_for(self.directory / "pid")
        running.cancel()
        await self.assertFailure(running, CancelledError)
        await self.runner.idle()
        self.assertFalse(self.is_running(int((self.directory / "pid").read_text())))
