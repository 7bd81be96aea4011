"""
Facts about letting uploads in.
"""

import asyncio

from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.config.limits import Limits
from twisted_registry.domain.errors import Overloaded
from twisted_registry.rpc.admission import Admission

MIB = 2**20


class AdmissionTests(SynchronousTestCase):
    """
    ``Admission`` has room for 7 MiB of large uploads.
    """

    def setUp(self) -> None:
        """
        Make it, without patience.
        """
        self.admission = Admission(Limits(0, 8 * MIB, 0.0, 0.0, 0, 0.0, 0.0))

    async def is_full(self) -> bool:
        """
        Tell whether there is no room for another large one.
        """
        try:
            async with self.admission.admitted(4 * MIB):
                return False
        except Overloaded:
            return True

    def test_given_back(self) -> None:
        """
        The room of an upload is given back when it is over, however it ends.
        """

        async def test() -> None:
            for _ in range(3):
                try:
                    async with self.admission.admitted(4 * MIB):
                        self.assertTrue(await self.is_full())
                        raise ZeroDivisionError
                except ZeroDivisionError:
                    self.assertFalse(await self.is_full())

        asyncio.run(test())

    def test_too_many_wait(self) -> None:
        """
        Where very many wait already, one more is refused at once, however long it would wait.
        """

        async def test() -> None:
            admission = Admission(Limits(0, 8 * MIB, 60.0, 0.0, 0, 0.0, 0.0))

            async def upload() -> None:
                async with admission.admitted(4 * MIB):
                    pass

            async with admission.admitted(4 * MIB):
                waiting = [asyncio.create_task(upload()) for _ in range(200)]
                await asyncio.sleep(0)
                with self.assertRaisesRegex(Overloaded, "200 uploads wait"):
                    await upload()
                waiting.pop().cancel()
                await asyncio.sleep(0)
                waiting.append(asyncio.create_task(upload()))
            await asyncio.gather(*waiting)

        asyncio.run(test())

    def test_kept_for_the_commit(self) -> None:
        """
        A commit goes on without its client, and keeps the room for as long as it takes.
        """

        async def test() -> None:
            commit: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            async with self.admission.admitted(4 * MIB) as place:
                place.keep_until(commit)
            self.assertTrue(await self.is_full())
            commit.set_result(None)
            await asyncio.sleep(0)
            self.assertFalse(await self.is_full())

        asyncio.run(test())
