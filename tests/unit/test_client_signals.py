"""
Signals that come while a blocking call waits.
"""

import asyncio
import signal
import threading
from types import FrameType

from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.client._loop import LoopThread


class Interrupted(Exception):
    """
    The signal came.
    """


def interrupt(number: int, frame: FrameType | None) -> None:
    """
    Handle it.
    """
    raise Interrupted


class SignalTests(SynchronousTestCase):
    """
    A call that would wait for ever.
    """

    def test_in_another_thread(self) -> None:
        """
        It is broken off also where the system gives the signal to another thread.
        """
        cancelled: list[bool] = []
        self.addCleanup(signal.signal, signal.SIGUSR1, signal.signal(signal.SIGUSR1, interrupt))

        async def waiting() -> None:
            try:
                thread.start()
                await asyncio.Event().wait()
            finally:
                cancelled.append(True)

        # To itself, which is not the one in which Python handles it.
        thread = threading.Thread(target=lambda: signal.pthread_kill(threading.get_ident(), signal.SIGUSR1))
        self.assertRaises(Interrupted, LoopThread().run, waiting())
        thread.join()
        self.assertEqual(cancelled, [True])

    def test_own_timeout(self) -> None:
        """
        A call that fails because its own time is up does so.
        """

        async def late() -> None:
            raise TimeoutError("late")

        error = self.assertRaises(TimeoutError, LoopThread().run, late())
        self.assertEqual(str(error), "late")
