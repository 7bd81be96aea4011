"""
Tests for ``twisted_registry.rpc.interceptors.sign_in_throttle``, ``twisted_registry.rpc.interceptors.refusals`` and
``twisted_registry.rpc.hang_up``.
"""

import asyncio
from collections.abc import Callable, Collection

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.logs import LoggedLines
from twisted_registry.domain.access import Credentials
from twisted_registry.domain.errors import NotAuthenticated, NotPermitted, SignInsThrottled
from twisted_registry.rpc.hang_up import HangUp
from twisted_registry.rpc.interceptors.refusals import Refusals
from twisted_registry.rpc.interceptors.sign_in_throttle import SignInThrottle
from twisted_registry.rpc.sockets import client_of

STRANGER, LOCAL = "ipv4:10.0.0.1:5000", "ipv4:127.0.0.1:5000"


def peer(port: int, host: str = "10.0.0.1") -> str:
    """
    Return another connection of a host.
    """
    return f"ipv4:{host}:{port}"


class ThrottleTests(SynchronousTestCase):
    """
    ``SignInThrottle`` limits failures.
    """

    def setUp(self) -> None:
        """
        Make one.
        """
        self.clock = Clock()
        self.throttle = SignInThrottle(self.clock.seconds)

    def is_admitted(self, client: str) -> bool:
        """
        Return whether new credentials are checked.
        """
        try:
            self.throttle.admit(client)
        except SignInsThrottled:
            return False
        return True

    def wrong(self, client: str, times: int) -> int:
        """
        Fail to sign in, and return how often the connection was to be closed.
        """
        return sum(self.throttle.failed(client) for _ in range(times))

    def test_ten_a_minute(self) -> None:
        """
        After ten wrong credentials no others are checked, until six seconds later.
        """
        self.is_admitted(STRANGER)
        self.assertEqual(self.wrong(STRANGER, 9), 0)
        self.assertTrue(self.is_admitted(STRANGER))
        self.wrong(STRANGER, 1)
        self.assertTrue(self.is_admitted(STRANGER), "the first ones of each connection")
        error = self.assertRaises(SignInsThrottled, self.throttle.admit, STRANGER)
        self.assertAlmostEqual(error.retry_after_seconds, 6.0)
        self.assertIn("try again in 6 s", str(error))
        self.clock.advance(error.retry_after_seconds + 0.01)
        self.assertTrue(self.is_admitted(STRANGER))

    def test_others_are_not_concerned(self) -> None:
        """
        Other addresses are checked as before; the addresses of one IPv6 network count as one.
        """
        self.wrong("ipv6:%5B2001:db8::1%5D:1", 20)
        self.assertTrue(self.is_admitted(STRANGER))
        self.is_admitted("ipv6:%5B2001:db8::2%5D:1")
        self.assertFalse(self.is_admitted("ipv6:%5B2001:db8::2%5D:1"))
        self.assertTrue(self.is_admitted("ipv6:%5B2001:db8:0:1::2%5D:1"))

    def test_new_connections_are_checked(self) -> None:
        """
        Behind an address with failures, the first credentials on each new connection are checked, of a thousand
        connections a minute.
        """
        self.wrong(STRANGER, 20)
        admitted = [self.is_admitted(peer(port)) for port in range(1050) for _ in range(2)]
        self.assertEqual(admitted, [True, False] * 1000 + [False] * 100)
        self.clock.advance(61)
        self.wrong(STRANGER, 20)
        self.assertTrue(self.is_admitted(peer(1)))

    def test_a_hundred_failures(self) -> None:
        """
        After a hundred failures in a minute, connections with further ones are to be closed.
        """
        self.assertEqual(self.wrong(STRANGER, 100), 0)
        self.assertEqual(self.wrong(peer(1), 5), 5)
        self.clock.advance(60)
        self.assertEqual(self.wrong(STRANGER, 100), 0)

    def test_steady_failures(self) -> None:
        """
        A client that fails once a second keeps its connection.
        """
        for _ in range(1000):
            self.assertFalse(self.throttle.failed(STRANGER))
            self.clock.advance(1)

    def test_this_machine(self) -> None:
        """
        This machine's connections are never closed, and more credentials are checked: a proxy stands for many clients.
        """
        for client in (LOCAL, "unix:uid=7:pid=9,connection=3"):
            self.assertEqual(self.wrong(client, 99), 0)
            self.assertEqual([self.is_admitted(client) for _ in range(10)], [True] * 10)
            self.assertEqual(self.wrong(client, 1000), 0)
            self.is_admitted(client)
            self.assertFalse(self.is_admitted(client))
            self.clock.advance(0.1)
            self.assertTrue(self.is_admitted(client))

    def test_missing_credentials(self) -> None:
        """
        Calls without credentials do not count as failures; after a thousand in a minute, connections are to be closed.
        """
        closed = [self.throttle.missed(STRANGER) for _ in range(1010)]
        self.assertEqual(closed, [False] * 1000 + [True] * 10)
        self.assertTrue(self.is_admitted(STRANGER))
        self.assertFalse(self.throttle.failed(STRANGER))
        self.assertFalse(any(self.throttle.missed(LOCAL) for _ in range(2000)))

    def test_bounded(self) -> None:
        """
        The addresses that failed longest ago are forgotten, if they are many or a minute has passed.
        """
        throttle = SignInThrottle(self.clock.seconds, hosts_max=3)
        for number in range(5):
            throttle.failed(peer(1, f"10.0.0.{number}"))
        self.assertEqual(len(throttle), 3)
        self.clock.advance(61)
        throttle.failed(STRANGER)
        self.assertEqual(len(throttle), 1)

    def test_clients(self) -> None:
        """
        The port, and of IPv6 half of the address, do not matter; an IPv4 address in IPv6's form is one of IPv4.
        """
        for name, client in (
            (STRANGER, "10.0.0.1"),
            ("ipv6:%5B::ffff:10.0.0.1%5D:9", "10.0.0.1"),
            ("ipv6:%5B2001:db8:0:1:ab::1%5D:9", "2001:db8:0:1::/64"),
            ("ipv6:%5Bfe80::1%25eth0%5D:9", "fe80::/64"),
            ("unix:uid=7:pid=9,connection=3", "unix:uid=7"),
            ("unix:", "unix:"),
        ):
            self.assertEqual(client_of(name), client)


class RecordingHangUp(HangUp):
    """
    A ``HangUp`` that closes nothing.

    Attributes:
        asked: the connections that it was to close.
    """

    def __init__(self, busy: Callable[[], Collection[str]]) -> None:
        super().__init__(busy)
        self.asked: list[str] = []

    def close(self, peer: str) -> None:
        """
        Record a connection.
        """
        self.asked.append(peer)


class RefusalsTests(SynchronousTestCase):
    """
    ``Refusals`` counts and logs refused callers.
    """

    def setUp(self) -> None:
        """
        Begin without refusals.
        """
        self.clock, self.lines, self.hang_up = Clock(), LoggedLines(self), RecordingHangUp(lambda: ())
        self.refusals = Refusals(hang_up=self.hang_up, now_seconds=self.clock.seconds)

    def test_flood(self) -> None:
        """
        The first refusal is logged at once, and then at most one line a minute, with how many there were of each kind.
        """
        for _ in range(50):
            self.refusals.refused(STRANGER, Credentials("x"), NotAuthenticated("no"))
            self.refusals.refused(STRANGER, Credentials("y"), SignInsThrottled("no"))
        self.refusals.refused(STRANGER, Credentials(), NotAuthenticated("no"))
        self.refusals.refused(STRANGER, Credentials("z"), NotPermitted("no"))
        self.clock.advance(61)
        self.refusals.refused(STRANGER, None, NotAuthenticated("no"))
        first, second = self.lines.of("twisted_registry.rpc")
        self.assertIn("1 calls", first)
        self.assertIn("102 calls", second)
        self.assertIn("(50 not checked, 50 wrong, 1 missing, 1 without any permission)", second)
        self.assertIn(STRANGER, second)

    def test_end_of_a_flood(self) -> None:
        """
        10,000 refusals within a minute are two lines, also if no others follow: one at once, and one with the number.
        """
        refusals = Refusals(now_seconds=self.clock.seconds, call_later=self.clock.callLater)
        for _ in range(10_000):
            refusals.refused(STRANGER, Credentials("x"), NotAuthenticated("no"))
            refusals.exposed(STRANGER, "4f3a")
        self.assertEqual(len(self.lines.of("twisted_registry.rpc")), 2)
        self.clock.advance(60)
        self.clock.advance(600)
        _, _, refused, exposed = self.lines.of("twisted_registry.rpc")
        self.assertIn("9999 calls", refused)
        self.assertIn("(9998 more since the last line)", exposed)

    def test_closed(self) -> None:
        """
        Connections with too many failures are closed; a caller without permissions is not a stranger.
        """
        for _ in range(1000):
            self.refusals.refused(STRANGER, Credentials("x"), NotPermitted("no"))
            self.refusals.refused(STRANGER, Credentials(), NotAuthenticated("no"))
        self.assertEqual(self.hang_up.asked, [])
        for _ in range(101):
            self.refusals.refused(STRANGER, Credentials("x"), NotAuthenticated("no"))
        self.assertEqual(self.hang_up.asked, [STRANGER])


class HangUpTests(SynchronousTestCase):
    """
    ``HangUp`` closes connections.
    """

    def setUp(self) -> None:
        """
        Begin with connections.
        """
        self.open, self.searches = {"a", "b", "proxy"}, list[Collection[str]]()
        self.clock, self.lines = Clock(), LoggedLines(self)

    def disconnect(self, peers: Collection[str]) -> Collection[str]:
        """
        Close connections.
        """
        self.searches.append(set(peers))
        found = self.open & set(peers)
        self.open -= found
        return found

    def hang_up(self, *peers: str, busy: Collection[str] = ()) -> HangUp:
        """
        Close connections, and wait for it.
        """
        hang_up = HangUp(lambda: busy, self.disconnect, self.clock.seconds)

        async def close() -> None:
            before = asyncio.all_tasks()
            for each in peers:
                hang_up.close(each)
            await asyncio.gather(*(asyncio.all_tasks() - before))

        asyncio.run(close())
        return hang_up

    def test_closes(self) -> None:
        """
        Connections are closed, those of one moment together, and the log says so.
        """
        hang_up = self.hang_up("a", "b", "a", "gone")
        self.assertEqual((self.open, self.searches), ({"proxy"}, [{"a", "b", "gone"}]))
        (line,) = self.lines.of("twisted_registry.rpc")
        self.assertIn("closed 2 connections", line)
        self.assertEqual([hang_up.is_closed(each) for each in ("a", "gone", "proxy")], [True, False, False])

    def test_closed_for_a_second(self) -> None:
        """
        A second later, the port may be that of another client, whose calls are served.
        """
        hang_up = self.hang_up("a")
        self.clock.advance(1.0)
        self.assertTrue(hang_up.is_closed("a"))
        self.clock.advance(0.5)
        self.assertFalse(hang_up.is_closed("a"))

    def test_busy(self) -> None:
        """
        A connection with calls of accepted callers stays.
        """
        self.hang_up("a", "proxy", busy={"proxy"})
        self.assertEqual(self.open, {"b", "proxy"})
        self.hang_up("proxy", busy={"proxy"})
        self.assertEqual(len(self.searches), 1)
