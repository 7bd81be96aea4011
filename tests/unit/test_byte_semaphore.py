"""
Tests for ``twisted_registry.rpc.budgets``.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from twisted_registry.config.limits import Limits
from twisted_registry.contracts.application import IBudget, IReservation
from twisted_registry.domain.errors import Overloaded
from twisted_registry.rpc.budgets import ByteSemaphore, ListSlots, SizedSemaphores, UploadBudget

MIB = 2**20


async def let_others_run() -> None:
    """
    Let all other tasks run until they wait.
    """
    for _ in range(5):
        await asyncio.sleep(0)


class ByteSemaphoreTests(SynchronousTestCase):
    """
    ``ByteSemaphore`` serves its waiters in order.
    """

    def run_in_loop(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """
        Run a test in an event loop.
        """
        asyncio.run(coroutine)

    def test_limit(self) -> None:
        """
        A reservation waits until enough bytes are released.
        """

        async def test() -> None:
            semaphore = ByteSemaphore(10)
            first = await semaphore.reserve(6)
            waiting = asyncio.create_task(semaphore.reserve(5))
            await let_others_run()
            self.assertEqual((waiting.done(), semaphore.missing_bytes), (False, 1))
            first.release()
            self.assertEqual((await waiting).size_bytes, 5)
            self.assertEqual(semaphore.missing_bytes, 0)

        self.run_in_loop(test())

    def test_callers_take_turns(self) -> None:
        """
        A caller with many waiting calls does not keep another one waiting; each caller's own are served in order.
        """

        async def test() -> None:
            semaphore = ByteSemaphore(1)
            held = await semaphore.reserve(1)
            served: list[str] = []

            async def call(caller: str, number: int) -> None:
                reservation = await semaphore.reserve(1, caller)
                served.append(f"{caller}{number}")
                reservation.release()

            callers = [("a", number) for number in range(5)] + [("b", 0), ("b", 1), ("c", 0)]
            waiting = [asyncio.create_task(call(*each)) for each in callers]
            await let_others_run()
            waiting[1].cancel()
            waiting[7].cancel()
            await let_others_run()
            held.release()
            await asyncio.gather(*waiting, return_exceptions=True)
            self.assertEqual(served, ["a0", "b0", "a2", "b1", "a3", "a4"])
            self.assertEqual((semaphore.missing_bytes, semaphore.try_reserve(1) is None), (0, False))

        self.run_in_loop(test())

    def test_without_a_wait(self) -> None:
        """
        ``try_reserve`` returns ``None`` if the bytes are not free, or others wait.
        """

        async def test() -> None:
            semaphore = ByteSemaphore(10)
            first = semaphore.try_reserve(6)
            assert first is not None
            verifyObject(IReservation, first)
            self.assertIsNone(semaphore.try_reserve(5))
            waiting = asyncio.create_task(semaphore.reserve(5))
            await let_others_run()
            self.assertIsNone(semaphore.try_reserve(1))
            first.release()
            await waiting

        self.run_in_loop(test())

    def test_order(self) -> None:
        """
        A small reservation waits behind a large one that came first: otherwise the large one could wait forever.
        """

        async def test() -> None:
            semaphore = ByteSemaphore(10)
            first = await semaphore.reserve(6)
            large, small = asyncio.create_task(semaphore.reserve(8)), asyncio.create_task(semaphore.reserve(1))
            await let_others_run()
            self.assertFalse(small.done())
            first.release()
            self.assertEqual([part.size_bytes for part in await asyncio.gather(large, small)], [8, 1])

        self.run_in_loop(test())

    def test_more_than_the_limit(self) -> None:
        """
        A reservation of more than the limit takes all of it.
        """

        async def test() -> None:
            semaphore = ByteSemaphore(10)
            first = await semaphore.reserve(1)
            larger = asyncio.create_task(semaphore.reserve(1000))
            await let_others_run()
            self.assertFalse(larger.done())
            first.release()
            self.assertEqual((await larger).size_bytes, 10)

        self.run_in_loop(test())

    def test_cancelled_while_waiting(self) -> None:
        """
        A cancelled waiter takes nothing, and those behind it go on.
        """

        async def test() -> None:
            semaphore = ByteSemaphore(10)
            await semaphore.reserve(6)
            large, small = asyncio.create_task(semaphore.reserve(8)), asyncio.create_task(semaphore.reserve(4))
            await let_others_run()
            large.cancel()
            self.assertEqual((await small).size_bytes, 4)

        self.run_in_loop(test())

    def test_cancelled_when_served(self) -> None:
        """
        No bytes are lost if a waiter is cancelled after it was served.
        """

        async def test() -> None:
            semaphore = ByteSemaphore(10)
            first = await semaphore.reserve(10)
            waiting = asyncio.create_task(semaphore.reserve(7))
            await let_others_run()
            first.release()
            waiting.cancel()
            await asyncio.wait([waiting])
            self.assertTrue(waiting.cancelled())
            self.assertEqual((await semaphore.reserve(10)).size_bytes, 10)

        self.run_in_loop(test())

    def test_small_reservations_have_their_own_part(self) -> None:
        """
        While large reservations hold all they may, small ones are served, and together they stay within the limit.
        """

        async def test() -> None:
            semaphores = SizedSemaphores(80 * MIB)
            large, small = semaphores.of_size(50 * MIB), semaphores.of_size(1000)
            self.assertEqual((await large.reserve(2**40)).size_bytes, 70 * MIB)
            self.assertEqual((await small.reserve(1000)).size_bytes, 1000)

        self.run_in_loop(test())


def upload_budget(wait_seconds: float = 0.0) -> UploadBudget:
    """
    Return a budget of 7 MiB for large uploads.
    """
    return UploadBudget(Limits(0, 8 * MIB, wait_seconds, 0.0, 0, 0.0, 0.0))


class UploadBudgetTests(SynchronousTestCase):
    """
    ``UploadBudget`` bounds the bytes of uploads in memory.
    """

    def test_released(self) -> None:
        """
        The part of an upload is free again once it is released.
        """

        async def test() -> None:
            budget = upload_budget()
            for _ in range(3):
                reservation = await budget.reserve(4 * MIB)
                verifyObject(IReservation, reservation)
                with self.assertRaisesRegex(Overloaded, "--uploads-max-bytes"):
                    await budget.reserve(4 * MIB)
                reservation.release()

        verifyObject(IBudget, upload_budget())
        asyncio.run(test())

    def test_too_many_of_one_caller_wait(self) -> None:
        """
        One caller cannot take all places for uploads that wait.
        """

        async def test() -> None:
            budget = upload_budget(wait_seconds=60.0)

            async def upload(caller: str) -> None:
                (await budget.reserve(4 * MIB, caller)).release()

            reservation = await budget.reserve(4 * MIB)
            waiting = [asyncio.create_task(upload("token:ann")) for _ in range(150)]
            await asyncio.sleep(0)
            with self.assertRaisesRegex(Overloaded, "150 uploads of token:ann"):
                await upload("token:ann")
            waiting.append(asyncio.create_task(upload("token:bob")))
            await asyncio.sleep(0)
            reservation.release()
            await asyncio.gather(*waiting)

        asyncio.run(test())

    def test_too_many_wait(self) -> None:
        """
        If very many uploads wait already, one more is refused at once, however long it could wait.
        """

        async def test() -> None:
            budget = upload_budget(wait_seconds=60.0)

            async def upload() -> None:
                (await budget.reserve(4 * MIB)).release()

            reservation = await budget.reserve(4 * MIB)
            waiting = [asyncio.create_task(upload()) for _ in range(200)]
            await asyncio.sleep(0)
            with self.assertRaisesRegex(Overloaded, "200 uploads are already waiting"):
                await upload()
            waiting.pop().cancel()
            await asyncio.sleep(0)
            waiting.append(asyncio.create_task(upload()))
            reservation.release()
            await asyncio.gather(*waiting)

        asyncio.run(test())


class ListSlotsTests(SynchronousTestCase):
    """
    ``ListSlots`` lets a few long lists be made at a time.
    """

    def test_slots(self) -> None:
        """
        Two lists are made at a time; a hundred wait, and more are refused.
        """

        async def test() -> None:
            slots = ListSlots()
            made = 0
            go = asyncio.Event()

            async def make() -> None:
                nonlocal made
                slot = await slots.reserve(1)
                made += 1
                await go.wait()
                slot.release()

            lists = [asyncio.create_task(make()) for _ in range(102)]
            await asyncio.sleep(0.01)
            self.assertEqual(made, 2)
            with self.assertRaisesRegex(Overloaded, "100 long lists"):
                await slots.reserve(1)
            go.set()
            await asyncio.gather(*lists)
            self.assertEqual(made, 102)

        verifyObject(IBudget, ListSlots())
        asyncio.run(test())

    def test_searches(self) -> None:
        """
        The slots for long searches say what to do when they are exhausted.
        """

        async def test() -> None:
            slots = ListSlots.for_searches()
            taken = [await slots.reserve(1) for _ in range(4)]
            waiting = [asyncio.create_task(slots.reserve(1)) for _ in range(100)]
            await asyncio.sleep(0)
            with self.assertRaisesRegex(Overloaded, "100 long searches .* make the filter simpler"):
                await slots.reserve(1)
            for slot in taken:
                slot.release()
            for task in waiting:
                (await task).release()

        asyncio.run(test())
