"""
Facts about bytes that many calls share.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.rpc.room import Room, Rooms


async def turn() -> None:
    """
    Let everybody else go on as far as they come.
    """
    for _ in range(5):
        await asyncio.sleep(0)


class RoomTests(SynchronousTestCase):
    """
    ``Room`` is shared, first come, first served.
    """

    def run_in_loop(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """
        Run a test in an event loop.
        """
        asyncio.run(coroutine)

    def test_no_more_is_taken_than_there_is(self) -> None:
        """
        Who finds too little left waits until enough was given back.
        """

        async def test() -> None:
            room = Room(10)
            self.assertEqual(await room.take(6), 6)
            waiting = asyncio.create_task(room.take(5))
            await turn()
            self.assertEqual((waiting.done(), room.missing_bytes), (False, 1))
            room.give_back(6)
            self.assertEqual(await waiting, 5)
            self.assertEqual(room.missing_bytes, 0)

        self.run_in_loop(test())

    def test_nobody_overtakes(self) -> None:
        """
        Who would fit waits behind who came first and does not, or the large would wait for ever.
        """

        async def test() -> None:
            room = Room(10)
            await room.take(6)
            large, small = asyncio.create_task(room.take(8)), asyncio.create_task(room.take(1))
            await turn()
            self.assertFalse(small.done())
            room.give_back(6)
            self.assertEqual(await asyncio.gather(large, small), [8, 1])

        self.run_in_loop(test())

    def test_more_than_there_is_goes_alone(self) -> None:
        """
        What is larger than the limit takes all of it.
        """

        async def test() -> None:
            room = Room(10)
            await room.take(1)
            larger = asyncio.create_task(room.take(1000))
            await turn()
            self.assertFalse(larger.done())
            room.give_back(1)
            self.assertEqual(await larger, 10)

        self.run_in_loop(test())

    def test_who_leaves_the_line_holds_up_nobody(self) -> None:
        """
        Who gives up waiting takes nothing, and those behind go on.
        """

        async def test() -> None:
            room = Room(10)
            await room.take(6)
            large, small = asyncio.create_task(room.take(8)), asyncio.create_task(room.take(4))
            await turn()
            large.cancel()
            self.assertEqual(await small, 4)

        self.run_in_loop(test())

    def test_who_is_cancelled_while_served_gives_it_back(self) -> None:
        """
        Nothing is lost where somebody is cancelled in the very moment in which he is served.
        """

        async def test() -> None:
            room = Room(10)
            await room.take(10)
            waiting = asyncio.create_task(room.take(7))
            await turn()
            room.give_back(10)
            waiting.cancel()
            await asyncio.wait([waiting])
            self.assertTrue(waiting.cancelled())
            self.assertEqual(await room.take(10), 10)

        self.run_in_loop(test())

    def test_the_small_have_a_part_of_their_own(self) -> None:
        """
        While the large have taken all they may, the small go on, and together no more is taken than the limit.
        """

        async def test() -> None:
            rooms = Rooms(80 * 2**20)
            large, small = rooms.of(50 * 2**20), rooms.of(1000)
            self.assertEqual(await large.take(2**40), 70 * 2**20)
            self.assertEqual(await small.take(1000), 1000)

        self.run_in_loop(test())
