"""
Tests of waiting for several jobs.
"""

from concurrent.futures import Future
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.registry.uploads import all_done


class AllDoneTests(SynchronousTestCase):
    """
    ``all_done`` waits for all of its jobs.
    """

    def setUp(self) -> None:
        """
        Wait for two jobs.
        """
        self.jobs: list[Future[Any]] = [Future(), Future()]
        self.done = all_done(*self.jobs)

    def test_all_succeed(self) -> None:
        """
        The future fires when the last job is done, whichever that is.
        """
        self.jobs[1].set_result(None)
        self.assertFalse(self.done.done())
        self.jobs[0].set_result(None)
        self.assertIsNone(self.done.result(timeout=0))

    def test_one_fails(self) -> None:
        """
        If one job fails, the future fails after all are done.
        """
        self.jobs[1].set_exception(ValueError())
        self.assertFalse(self.done.done())
        self.jobs[0].set_result(None)
        self.assertIsInstance(self.done.exception(timeout=0), ValueError)

    def test_both_fail(self) -> None:
        """
        If several fail, the future fails as the first in their order.
        """
        self.jobs[1].set_exception(ValueError())
        self.jobs[0].set_exception(KeyError())
        self.assertIsInstance(self.done.exception(timeout=0), KeyError)
