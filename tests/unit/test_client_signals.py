"""
Tests of interruptions: signals during a blocking call, and steps that are abandoned just when they end.
"""

import asyncio
import signal
import threading
from collections.abc import AsyncGenerator, Callable
from functools import partial
from types import FrameType
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from tests.support.styles import PumpedReactor
from twisted_registry.client import BlockingItems, DeferredIterator
from twisted_registry.client._deferred import Deferrer
from twisted_registry.client._event_loop import EventLoopThread, IteratorStepper
from twisted_registry.client._iterators import END, Items


class Interrupted(Exception):
    """
    The signal arrived.
    """


def interrupt(number: int, frame: FrameType | None) -> None:
    """
    Handle the signal.
    """
    raise Interrupted


class SignalTests(SynchronousTestCase):
    """
    A call that would wait forever.
    """

    def test_in_another_thread(self) -> None:
        """
        A call is interrupted even if the system delivers the signal to another thread.
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
        self.assertRaises(Interrupted, EventLoopThread().run, waiting())
        thread.join()
        self.assertEqual(cancelled, [True])

    def test_own_timeout(self) -> None:
        """
        A call's own ``TimeoutError`` is raised.
        """

        async def late() -> None:
            raise TimeoutError("late")

        error = self.assertRaises(TimeoutError, EventLoopThread().run, late())
        self.assertEqual(str(error), "late")


class AbandonedStepTests(SynchronousTestCase):
    """
    A step of an iterator that is abandoned just when it has ended.
    """

    async def numbers(self) -> AsyncGenerator[int, None]:
        """
        Yield three numbers.
        """
        for number in range(3):
            yield number

    def setUp(self) -> None:
        """
        Make an iterator.
        """
        self.items = Items(self.numbers())

    def test_deferred(self) -> None:
        """
        The item of a step whose Deferred was cancelled comes with the next step.
        """
        reactor = PumpedReactor()
        numbers = DeferredIterator(Deferrer(reactor), self.items)
        abandoned = numbers.__anext__()
        reactor.wait_to_be_asked()  # the step has ended, and the reactor was not notified yet
        abandoned.cancel()
        self.failureResultOf(abandoned, CancelledError)
        received = [reactor.wait_for(numbers.__anext__()) for _ in range(3)]
        self.assertEqual(received, [0, 1, 2])
        with self.assertRaises(StopAsyncIteration):
            reactor.wait_for(numbers.__anext__())

    def test_abandoned_again(self) -> None:
        """
        The item is not lost if the next step is abandoned too, before or after its end.
        """
        stepper = IteratorStepper(self.items)
        for wait_first in (True, False, True):
            job = stepper.step()
            job.start()
            if wait_first:
                job.wait()
            stepper.abandon(job)
        self.assertEqual([stepper.step().run() for _ in range(4)], [0, 1, 2, END])

    def test_interrupted(self) -> None:
        """
        The item is not lost if a blocking iterator was interrupted.
        """
        numbers = BlockingItems(self.items)
        self.addCleanup(signal.signal, signal.SIGUSR1, signal.signal(signal.SIGUSR1, interrupt))
        with self.assertRaises(Interrupted):
            # The signal is handled as soon as it is raised, and before anything is waited for.
            numbers._stepper.step = self._interrupting(numbers._stepper.step)  # type: ignore[method-assign]
            next(numbers)
        del numbers._stepper.step
        self.assertEqual(list(numbers), [0, 1, 2])

    def _interrupting(self, step: Callable[[], Any]) -> Callable[[], Any]:
        def interrupting() -> Any:
            job = step()
            job.wait()
            job.start = partial(signal.raise_signal, signal.SIGUSR1)
            return job

        return interrupting
