"""
Tests of mutexes for coroutines.
"""

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.mutexes import KeyedMutexes


class KeyedMutexesTests(SynchronousTestCase):
    """
    One coroutine at a time holds the mutex of a key.
    """

    def setUp(self) -> None:
        """
        Make mutexes, and a list of who held one.
        """
        self.mutexes = KeyedMutexes()
        self.held: list[int] = []

    async def _hold(self, number: int, key: str, until: "Deferred[None] | None") -> None:
        async with self.mutexes.hold(key):
            self.held.append(number)
            if until is not None:
                await until

    def hold(self, number: int, key: str = "a", until: "Deferred[None] | None" = None) -> "Deferred[None]":
        """
        Hold a key until a Deferred fires, or only briefly.
        """
        return Deferred.fromCoroutine(self._hold(number, key, until))

    def test_requests_are_served_in_order(self) -> None:
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

    def test_request_during_the_handover_waits_behind_the_others(self) -> None:
        """
        A holder that requests the key again when it is done does not overtake the waiters.
        """
        until: Deferred[None] = Deferred()
        first = self.hold(1, until=until)
        second = self.hold(2).addCallback(lambda _: self.hold(4))
        third = self.hold(3)
        until.callback(None)
        for holder in (first, second, third):
            self.successResultOf(holder)
        self.assertEqual(self.held, [1, 2, 3, 4])

    def test_failing_holder_releases_the_key(self) -> None:
        """
        After a holder has failed, the next one gets the key.
        """
        until: Deferred[None] = Deferred()
        failing, waiting = self.hold(1, until=until), self.hold(2)
        until.errback(ZeroDivisionError())
        self.failureResultOf(failing, ZeroDivisionError)
        self.successResultOf(waiting)

    def test_cancelled_waiter_is_skipped(self) -> None:
        """
        A waiter that gives up does not delay the others.
        """
        until: Deferred[None] = Deferred()
        holding, cancelled, waiting = self.hold(1, until=until), self.hold(2), self.hold(3)
        cancelled.cancel()
        self.failureResultOf(cancelled, CancelledError)
        until.callback(None)
        self.successResultOf(holding)
        self.successResultOf(waiting)
        self.assertEqual((self.held, self.mutexes._queues), ([1, 3], {}))

    def test_unused_keys_are_forgotten(self) -> None:
        """
        A key takes no memory after its last holder.
        """
        until: Deferred[None] = Deferred()
        self.hold(1, until=until)
        self.hold(2)
        until.callback(None)
        self.assertEqual(self.mutexes._queues, {})
