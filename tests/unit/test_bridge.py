"""
Facts about the bridge from gRPC's thread to the reactor's.
"""

import asyncio
import gc
import weakref
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorFromThreads
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from twisted_registry.domain.errors import UnknownModel
from twisted_registry.rpc.bridge import Bridge


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
    What a call brought.
    """


class BridgeTests(SynchronousTestCase):
    """
    ``Bridge`` calls into the reactor's thread.
    """

    def setUp(self) -> None:
        """
        Make one.
        """
        self.bridge = Bridge(Reactor())

    def test_result(self) -> None:
        """
        What the Deferred fires with comes back.
        """
        self.assertEqual(asyncio.run(self.bridge.call(lambda: succeed(1))), 1)

    def test_nothing_is_left_for_the_garbage_collector(self) -> None:
        """
        What a call brought is gone as soon as the call has failed.
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

        await self.bridge.call(call)
        self.assertIsNone(request, "unreachable")

    def test_nobody_waits_any_more(self) -> None:
        """
        A result that comes when the call was cancelled is nobody's.
        """

        async def cancelled() -> None:
            result: Deferred[int] = Deferred()
            task = asyncio.create_task(self.bridge.call(lambda: result))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            result.callback(1)
            await asyncio.sleep(0)
            self.assertTrue(task.cancelled())

        asyncio.run(cancelled())
