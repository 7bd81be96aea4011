"""
Tests of the messages to the service manager.
"""

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.logs import LoggedLines
from twisted_registry.daemon.service_manager import ServiceManager, ServiceNotices


class ServiceManagerCase(SynchronousTestCase):
    """
    A service manager.
    """

    def setUp(self) -> None:
        """
        Let it listen.
        """
        self.path = Path(self.mktemp()).name  # relative, because the path of a socket is short
        self.receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.receiver.close)
        self.receiver.setblocking(False)

    def listen(self, address: str) -> None:
        """
        Let it listen at an address.
        """
        self.receiver.bind(address)
        if not address.startswith("\0"):
            self.addCleanup(os.unlink, address)

    def received(self) -> list[str]:
        """
        Return the messages so far.
        """
        messages = []
        while True:
            try:
                messages.append(self.receiver.recv(4096).decode())
            except BlockingIOError:
                return messages


class MessageTests(ServiceManagerCase):
    """
    ``ServiceManager`` sends messages to those who want them.
    """

    def test_path(self) -> None:
        """
        The address is a path, or a name without a file.
        """
        path = f"/tmp/{self.path}"
        self.listen(path)
        ServiceManager({"NOTIFY_SOCKET": path}).send("READY=1", "STATUS=x")
        self.assertEqual(self.received(), ["READY=1\nSTATUS=x"])

    def test_abstract(self) -> None:
        """
        An address that begins with an @ has no file.
        """
        self.listen(f"\0{self.path}")
        ServiceManager({"NOTIFY_SOCKET": f"@{self.path}"}).send("READY=1")
        self.assertEqual(self.received(), ["READY=1"])

    def test_nobody(self) -> None:
        """
        Without an address nothing is sent; an address where nobody listens is logged.
        """
        for address in ("", "relative"):
            manager = ServiceManager({"NOTIFY_SOCKET": address})
            self.assertFalse(manager.listens)
            manager.send("READY=1")
        logged = LoggedLines(self)
        ServiceManager({"NOTIFY_SOCKET": f"@{self.path}"}).send("READY=1")
        self.assertIn("Connection refused", *logged.of("twisted_registry.daemon"))

    def test_watchdog(self) -> None:
        """
        The watchdog counts for the process that it names, or for all.
        """
        for variables, seconds in (
            ({}, 0.0),
            ({"WATCHDOG_USEC": "1500000"}, 1.5),
            ({"WATCHDOG_USEC": "1500000", "WATCHDOG_PID": "7"}, 1.5),
            ({"WATCHDOG_USEC": "1500000", "WATCHDOG_PID": "8"}, 0.0),
            ({"WATCHDOG_USEC": "soon"}, 0.0),
        ):
            self.assertEqual(ServiceManager(variables, process_id=7).watchdog_seconds, seconds)


class NoticesTests(ServiceManagerCase):
    """
    ``ServiceNotices`` reports what the daemon does.
    """

    def test_life(self) -> None:
        """
        A daemon that serves shows that it runs as long as its server answers, also while it stops.
        """
        self.listen(f"\0{self.path}")
        clock = Clock()
        waiting: list[Callable[[], None]] = []
        manager = ServiceManager({"NOTIFY_SOCKET": f"@{self.path}", "WATCHDOG_USEC": "30000000"})
        notices = ServiceNotices(clock, manager, waiting.append)
        clock.advance(60)
        self.assertEqual(self.received(), [])
        notices.ready()
        self.assertEqual(self.received(), ["READY=1\nSTATUS=Serving."])
        clock.advance(10)
        self.assertEqual(self.received(), [], "the server has not answered")
        waiting.pop()()
        self.assertEqual(self.received(), ["WATCHDOG=1"])
        notices.stopping()
        self.assertEqual(self.received(), ["STOPPING=1\nSTATUS=Waiting for running calls."])
        clock.advance(10)
        waiting.pop()()
        self.assertEqual(self.received(), ["WATCHDOG=1"])
        notices.stopped()
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_reload(self) -> None:
        """
        A reload is reported with the time at which it begins, and with its end.
        """
        self.listen(f"\0{self.path}")
        notices = ServiceNotices(Clock(), ServiceManager({"NOTIFY_SOCKET": f"@{self.path}"}), lambda answered: None)
        notices.ready()
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        notices.reloading()
        notices.reloaded()
        _, reloading, ready = self.received()
        state, moment, _ = reloading.split("\n")
        self.assertEqual(state, "RELOADING=1")
        self.assertGreaterEqual(int(moment.removeprefix("MONOTONIC_USEC=")), before)
        self.assertEqual(ready, "READY=1\nSTATUS=Serving.")

    def test_reload_at_another_time(self) -> None:
        """
        A daemon that is starting or stopping does not report that it serves because it reads its files again.
        """
        self.listen(f"\0{self.path}")
        notices = ServiceNotices(Clock(), ServiceManager({"NOTIFY_SOCKET": f"@{self.path}"}), lambda answered: None)
        for act in (lambda: None, notices.ready, notices.stopping):
            act()
            if act != notices.ready:
                self.received()
                notices.reloading()
                notices.reloaded()
                self.assertEqual(self.received(), [])

    def test_no_service_manager(self) -> None:
        """
        Without one, no time is spent.
        """
        clock = Clock()
        notices = ServiceNotices(clock, ServiceManager({"WATCHDOG_USEC": "30000000"}), lambda answered: None)
        notices.ready()
        self.assertEqual(clock.getDelayedCalls(), [])
        notices.stopping()
        notices.stopped()
