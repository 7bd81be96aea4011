"""
Facts about the budgets of the use cases.
"""

import asyncio

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from twisted_registry.config.limits import Limits
from twisted_registry.contracts.application import IBudget, IReservation
from twisted_registry.domain.errors import Overloaded
from twisted_registry.rpc.admission import ListSlots, UploadBudget

MIB = 2**20


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
            with self.assertRaisesRegex(Overloaded, "200 uploads wait"):
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
