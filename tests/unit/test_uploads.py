"""
Facts about waiting for several jobs.
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
        Begin to wait for two.
        """
        self.jobs: list[Future[Any]] = [Future(), Future()]
        self.done = all_done(*self.jobs)

    def test_all_succeed(self) -> None:
        """
        It fires when the last one is done, whichever that is.
        """
        self.jobs[1].set_result(None)
        self.assertFalse(self.done.done())
        self.jobs[0].set_result(None)
        self.assertIsNone(self.done.result(timeout=0))

    def test_one_fails(self) -> None:
        """
        Where one fails it fails too, once all are done.
        """
        self.jobs[1].set_exception(ValueError())
        self.assertFalse(self.done.done())
        self.jobs[0].set_result(None)
        self.assertIsInstance(self.done.exception(timeout=0), ValueError)

    def test_both_fail(self) -> None:
        """
        Where several fail, it fails as the first in their order.
        """
        self.jobs[1].set_exception(ValueError())
        self.jobs[0].set_exception(KeyError())
        self.assertIsInstance(self.done.exception(timeout=0), KeyError)
