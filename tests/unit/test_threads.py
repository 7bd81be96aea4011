"""
Tests of executors.
"""

from concurrent.futures import Future

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from tests.support.threads import PumpedPool, PumpedReactor, pump_all
from twisted_registry.contracts.execution import IExecutor, INonBlocking, ISerialExecutor
from twisted_registry.execution import (
    INLINE_BELOW_BYTES,
    InlineExecutor,
    InlineSerialExecutor,
    PooledExecutor,
    PooledSerialExecutor,
    TalliedPool,
    executor_for,
)


class PooledSerialExecutorTests(SynchronousTestCase):
    """
    ``PooledSerialExecutor`` runs its jobs in order, in a pool.
    """

    def setUp(self) -> None:
        """
        Make a serial executor over a pool that is pumped by hand.
        """
        self.pool = PumpedPool()
        self.serial = PooledSerialExecutor(self.pool)
        self.done: list[int] = []

    def submit(self, number: int) -> "Future[None]":
        """
        Submit a job that notes its number.
        """
        return self.serial.submit(lambda: self.done.append(number), 0)

    def test_provides_the_interface(self) -> None:
        """
        A serial executor is an ``ISerialExecutor``.
        """
        verifyObject(ISerialExecutor, self.serial)

    def test_jobs_run_in_order_a_few_to_a_turn(self) -> None:
        """
        However many jobs wait, the pool holds one batch of them; a batch is short, so that others have their turn.
        """
        for number in range(20):
            self.submit(number)
        turns = []
        while len(self.pool):
            self.assertEqual(len(self.pool), 1)
            self.pool.pump(most=1)
            turns.append(len(self.done))
        self.assertEqual((turns, self.done), ([8, 16, 20], list(range(20))))

    def test_idle_executor_starts_again(self) -> None:
        """
        A serial executor whose jobs are all done runs the next that comes.
        """
        self.submit(1)
        self.pool.pump()
        self.submit(2)
        self.pool.pump()
        self.assertEqual(self.done, [1, 2])

    def test_job_submitted_by_a_job_runs_after_it(self) -> None:
        """
        A job, or a callback of its future, may submit the next one.
        """
        self.serial.submit(lambda: self.submit(2), 0).add_done_callback(lambda _: self.submit(3))
        self.pool.pump()
        self.assertEqual(self.done, [2, 3])

    def test_failure_stops_nothing(self) -> None:
        """
        A job that raises fails its own future; the jobs behind it run.
        """
        failed = self.serial.submit(lambda: 1 // 0, 0)
        self.submit(2)
        self.pool.pump()
        self.assertIsInstance(failed.exception(), ZeroDivisionError)
        self.assertEqual(self.done, [2])

    def test_abandoned_jobs_run(self) -> None:
        """
        If a caller stops waiting for a job, the job and those behind it still run.
        """
        given_up = self.submit(1)
        self.assertFalse(given_up.cancel())
        self.submit(2)
        self.pool.pump()
        self.assertEqual(self.done, [1, 2])


class InlineSerialExecutorTests(SynchronousTestCase):
    """
    ``InlineSerialExecutor`` runs small jobs in the caller's thread.
    """

    def test_small_jobs_run_inline(self) -> None:
        """
        A job on few bytes is done when submit returns.
        """
        self.assertEqual(InlineSerialExecutor(PumpedPool()).submit(lambda: 7, INLINE_BELOW_BYTES - 1).result(0), 7)

    def test_large_jobs_and_those_behind_them_go_to_the_pool(self) -> None:
        """
        A job on many bytes waits for a thread, and a small one behind it keeps the order.
        """
        pool = PumpedPool()
        serial = InlineSerialExecutor(pool)
        done: list[str] = []
        serial.submit(lambda: done.append("large"), INLINE_BELOW_BYTES)
        serial.submit(lambda: done.append("small"), 0)
        self.assertEqual(done, [])
        pool.pump()
        self.assertEqual(done, ["large", "small"])
        serial.submit(lambda: done.append("later"), 0)
        self.assertEqual(done, ["large", "small", "later"])


class TalliedPoolTests(SynchronousTestCase):
    """
    ``TalliedPool`` knows when all its jobs are done.
    """

    def setUp(self) -> None:
        """
        Make a tallied pool over one that is pumped by hand.
        """
        self.reactor, self.threads = PumpedReactor(), PumpedPool()
        self.pool = TalliedPool(self.reactor, self.threads)

    def test_pool_without_jobs_is_idle(self) -> None:
        """
        Without jobs there is nothing to wait for.
        """
        self.successResultOf(self.pool.idle())

    def test_waits_for_all_jobs_of_a_serial_executor(self) -> None:
        """
        A pool is busy until the last job of a serial executor is done, even one that fails or was submitted by a job.
        """
        serial = PooledSerialExecutor(self.pool)
        for _ in range(8):
            serial.submit(lambda: None, 0)
        serial.submit(lambda: serial.submit(lambda: 1 // 0, 0), 0)
        waiters = self.pool.idle(), self.pool.idle()
        for _ in range(2):
            pump_all(self.reactor)
            for idle in waiters:
                self.assertNoResult(idle)
            self.threads.pump(most=1)
        pump_all(self.reactor)
        for idle in waiters:
            self.successResultOf(idle)


@implementer(INonBlocking)
class Quick:
    """
    A provider that never blocks.
    """


class ThreadsTests(SynchronousTestCase):
    """
    The calls of a provider run where they delay no other work.
    """

    def setUp(self) -> None:
        """
        Make pools and a reactor that are pumped by hand.
        """
        self.reactor = PumpedReactor()
        self.blocking, self.computing = PumpedPool(), PumpedPool()

    def executor(self, provider: object) -> IExecutor:
        """
        Return the executor for a provider.
        """
        executor = executor_for(provider, self.reactor, self.blocking, self.computing)
        verifyObject(IExecutor, executor)
        return executor

    def test_providers_that_may_block_get_the_blocking_pool(self) -> None:
        """
        The call runs in the pool, and its Deferred fires in the reactor's thread.
        """
        executor = self.executor(object())
        self.assertIsInstance(executor, PooledExecutor)
        deferred = executor.defer(lambda: 7)
        self.blocking.pump()
        self.assertNoResult(deferred)
        pump_all(self.reactor)
        self.assertEqual(self.successResultOf(deferred), 7)

    def test_failures_come_back_too(self) -> None:
        """
        The Deferred fails with the error of the call.
        """
        deferred = self.executor(object()).defer(lambda: 1 // 0)
        pump_all(self.reactor, self.blocking)
        self.failureResultOf(deferred, ZeroDivisionError)

    def test_providers_that_never_block_are_called_directly(self) -> None:
        """
        The call is done at once; only long work on much data goes to a pool, and that is not the one a disk can fill.
        """
        executor = self.executor(Quick())
        self.assertIsInstance(executor, InlineExecutor)
        self.assertEqual(self.successResultOf(executor.defer(lambda: 7)), 7)
        self.failureResultOf(executor.defer(lambda: 1 // 0), ZeroDivisionError)
        executor.serial().submit(lambda: None, INLINE_BELOW_BYTES)
        self.assertEqual((len(self.blocking), len(self.computing)), (0, 1))
