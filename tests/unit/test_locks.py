"""
Facts about the lines that models' changes wait in.
"""

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.registry.locks import KeyedLocks


class KeyedLocksTests(SynchronousTestCase):
    """
    One coroutine at a time holds a key.
    """

    def setUp(self) -> None:
        """
        Make locks, and a log of who held one.
        """
        self.locks = KeyedLocks()
        self.held: list[int] = []

    async def _hold(self, number: int, key: str, until: "Deferred[None] | None") -> None:
        async with self.locks.hold(key):
            self.held.append(number)
            if until is not None:
                await until

    def hold(self, number: int, key: str = "a", until: "Deferred[None] | None" = None) -> "Deferred[None]":
        """
        Hold a key, until a Deferred fires or just for a moment.
        """
        return Deferred.fromCoroutine(self._hold(number, key, until))

    def test_waits_in_the_order_of_asking(self) -> None:
        """
        While a key is held, others wait for it; another key is free.
        """
        until: Deferred[None] = Deferred()
        waiting = [self.hold(1, until=until), self.hold(2), self.hold(3)]
        self.successResultOf(self.hold(4, "b"))
        self.assertEqual(self.held, [1, 4])
        until.callback(None)
        for holder in waiting:
            self.successResultOf(holder)
        self.assertEqual(self.held, [1, 4, 2, 3])

    def test_any_number_may_wait(self) -> None:
        """
        Ten thousand waiters that are done at once are served one after the other, not one inside the other.
        """
        until: Deferred[None] = Deferred()
        waiting = [self.hold(0, until=until), *(self.hold(number) for number in range(1, 10_000))]
        until.callback(None)
        for holder in waiting:
            self.successResultOf(holder)
        self.assertEqual(self.held, list(range(10_000)))

    def test_who_asks_while_the_key_is_handed_over_waits_behind(self) -> None:
        """
        A holder's end may bring a new one, which does not overtake those that wait.
        """
        until: Deferred[None] = Deferred()
        first = self.hold(1, until=until)
        second = self.hold(2).addCallback(lambda _: self.hold(4))
        third = self.hold(3)
        until.callback(None)
        for holder in (first, second, third):
            self.successResultOf(holder)
        self.assertEqual(self.held, [1, 2, 3, 4])

    def test_failure_hands_the_key_on(self) -> None:
        """
        A holder that fails lets the next one in.
        """
        until: Deferred[None] = Deferred()
        failing, waiting = self.hold(1, until=until), self.hold(2)
        until.errback(ZeroDivisionError())
        self.failureResultOf(failing, ZeroDivisionError)
        self.successResultOf(waiting)

    def test_waiter_that_is_cancelled_is_passed_over(self) -> None:
        """
        Who gives up waiting holds up nobody.
        """
        until: Deferred[None] = Deferred()
        holding, giving_up, waiting = self.hold(1, until=until), self.hold(2), self.hold(3)
        giving_up.cancel()
        self.failureResultOf(giving_up, CancelledError)
        until.callback(None)
        self.successResultOf(holding)
        self.successResultOf(waiting)
        self.assertEqual((self.held, self.locks._lines), ([1, 3], {}))

    def test_keys_that_nobody_wants_are_forgotten(self) -> None:
        """
        Nothing stays of a key when the last holder is gone.
        """
        until: Deferred[None] = Deferred()
        self.hold(1, until=until)
        self.hold(2)
        until.callback(None)
        self.assertEqual(self.locks._lines, {})
