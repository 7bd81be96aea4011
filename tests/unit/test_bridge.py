"""
Tests of the bridge from gRPC's thread to the reactor's.
"""

import asyncio
import gc
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorFromThreads
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from twisted_registry.contracts.application import IEvent, IRuntime
from twisted_registry.domain.errors import UnknownModel
from twisted_registry.rpc.bridge import AsyncioRuntime


@implementer(IReactorFromThreads)
class Reactor:
    """
    A reactor whose thread is this one.
    """

    def callFromThread(self, callable: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """See ``IReactorFromThreads.callFromThread``."""
        callable(*args, **kwargs)


class Request:
    """
    The request of a call.
    """


def make_runtime() -> AsyncioRuntime:
    """
    Make a runtime in the running event loop.
    """
    return AsyncioRuntime(Reactor(), asyncio.get_running_loop())


class AsyncioRuntimeTests(SynchronousTestCase):
    """
    ``AsyncioRuntime`` calls into the reactor's thread.
    """

    def test_provides_the_interfaces(self) -> None:
        """
        It provides the port of the use cases.
        """

        async def test() -> None:
            runtime = make_runtime()
            verifyObject(IRuntime, runtime)
            verifyObject(IEvent, runtime.event())

        asyncio.run(test())

    def test_result(self) -> None:
        """
        A call returns the result of the Deferred.
        """

        async def test() -> int:
            return await make_runtime().call(lambda: succeed(1))

        self.assertEqual(asyncio.run(test()), 1)

    def test_nothing_is_left_for_the_garbage_collector(self) -> None:
        """
        The request of a call is freed as soon as the call has failed.
        """

        async def refused() -> "weakref.ref[Request]":
            request = Request()
            seen = weakref.ref(request)
            with self.assertRaises(UnknownModel):
                await self.call_with(request)
            del request
            return seen

        gc.disable()
        self.addCleanup(gc.enable)
        self.assertIsNone(asyncio.run(refused())())

    async def call_with(self, request: Request) -> None:
        """
        Fail, while holding a request.
        """

        def call() -> "Deferred[None]":
            return fail(UnknownModel("m"))

        await make_runtime().call(call)
        self.assertIsNone(request, "unreachable")

    def test_cancelled_call(self) -> None:
        """
        A result that comes after the call was cancelled is dropped.
        """

        async def test() -> None:
            result: Deferred[int] = Deferred()
            task = asyncio.create_task(make_runtime().call(lambda: result))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            result.callback(1)
            await asyncio.sleep(0)
            self.assertTrue(task.cancelled())

        asyncio.run(test())

    def test_started_call_outlives_its_caller(self) -> None:
        """
        A started call goes on if its caller is cancelled, and is cleaned up after only when it is done.
        """

        async def test() -> None:
            result: Deferred[int] = Deferred()
            done: list[str] = []
            started = make_runtime().start(lambda: result, lambda: done.append("done"))
            task = asyncio.ensure_future(started)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            self.assertEqual((task.cancelled(), result.called, done), (True, False, []))
            gc.collect()
            result.callback(1)
            for _ in range(3):
                await asyncio.sleep(0)
            self.assertEqual(done, ["done"])

        asyncio.run(test())

    def test_results_of_jobs(self) -> None:
        """
        The result of a job is there at once if the job is done, and else when it is done.
        """

        async def test() -> None:
            runtime = make_runtime()
            done: Future[int] = Future()
            pending: Future[int] = Future()
            done.set_result(1)
            asyncio.get_running_loop().call_soon(pending.set_result, 2)
            self.assertEqual((await runtime.result(done), await runtime.result(pending)), (1, 2))

        asyncio.run(test())

    def test_closed_loop(self) -> None:
        """
        Once the event loop is closed, there is nobody to run anything for.
        """

        async def test() -> AsyncioRuntime:
            return make_runtime()

        asyncio.run(test()).run_soon(self.fail)
