"""
Tests of the shared event loop at the end of the interpreter.
"""

from collections.abc import AsyncGenerator
from threading import Event, Thread

from twisted.trial.unittest import SynchronousTestCase

from tests.support.daemon import TIMEOUT_SECONDS
from twisted_registry.client._event_loop import EventLoopThread
from twisted_registry.client.errors import (
    ClientUnusable,
)


class LoopThreadTests(SynchronousTestCase):
    """
    The end of the thread.
    """

    def setUp(self) -> None:
        """
        Start a thread whose end waits for a generator.
        """
        self.thread = EventLoopThread()
        self.is_ending, self.may_end = Event(), Event()
        self.addCleanup(self.may_end.set)
        self.generator = self.held()

        async def begun() -> None:
            await anext(self.generator)

        self.thread.run(begun())

    async def held(self) -> AsyncGenerator[None, None]:
        """
        Block the loop when the generator is closed.
        """
        try:
            yield
        finally:
            self.is_ending.set()
            self.may_end.wait(TIMEOUT_SECONDS)

    def test_what_comes_too_late(self) -> None:
        """
        A job from another thread is refused, and not started, once the running jobs were cancelled.
        """
        begun = []

        async def work() -> None:
            begun.append(True)

        late = self.thread.job(work())
        ending = Thread(target=self.thread.end, daemon=True)
        ending.start()
        self.assertTrue(self.is_ending.wait(TIMEOUT_SECONDS))
        late.start()
        self.may_end.set()
        self.assertRaises(ClientUnusable, late.run)
        self.assertRaises(ClientUnusable, self.thread.run, work())
        ending.join(TIMEOUT_SECONDS)
        self.assertEqual(begun, [])
