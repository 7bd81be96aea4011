"""
Facts about how a call ends.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from attrs import define, field
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.domain.errors import Overloaded, Unavailable, UnknownModel
from twisted_registry.rpc.gate import Gate
from twisted_registry.rpc.status import Handler, guarded


class Aborted(grpc.aio.AbortError):
    """
    What gRPC raises where a handler aborts its call.
    """


@define
class Context:
    """
    Stands in for gRPC's side of a call.
    """

    aborts: list[tuple[grpc.StatusCode, str]] = field(factory=list)

    async def abort(self, code: grpc.StatusCode, details: str, trailing_metadata: Any) -> None:
        """
        Note how the call was aborted.
        """
        self.aborts.append((code, details))
        raise Aborted


@contextmanager
def always() -> Iterator[None]:
    """
    Let every call in.
    """
    yield


async def _call(handler: Handler, context: Any) -> bytes | None:
    return await handler(b"abc", context)


class GuardTests(SynchronousTestCase):
    """
    ``guarded`` ends every call with a status.
    """

    def run_guarded(self, handler: Handler, context: Any) -> bytes | None:
        """
        Run a guarded handler.
        """

        async def run() -> bytes | None:
            return await guarded(handler, always)(b"abc", context)

        return asyncio.run(run())

    def end(self, error: BaseException) -> tuple[BaseException | None, list[tuple[grpc.StatusCode, str]]]:
        """
        Run a handler that raises, and give what came of it: what was raised, and how the call was aborted.
        """

        async def handler(request: Any, context: Any) -> bytes | None:
            raise error

        context = Context()
        try:
            self.run_guarded(handler, context)
        except BaseException as raised:  # just that is asked
            return raised, context.aborts
        return None, context.aborts

    def test_reply_is_given_on(self) -> None:
        """
        A handler that returns ends its call with its reply.
        """

        async def handler(request: Any, context: Any) -> bytes | None:
            return bytes(reversed(request))

        self.assertEqual(self.run_guarded(handler, Context()), b"cba")

    def test_foreseen_errors_abort_with_their_code(self) -> None:
        """
        An error of the taxonomy becomes its status.
        """
        raised, aborts = self.end(UnknownModel("m"))
        self.assertIsInstance(raised, Aborted)
        self.assertEqual(aborts, [(grpc.StatusCode.NOT_FOUND, str(UnknownModel("m")))])

    def test_client_that_went_is_nobodys_fault(self) -> None:
        """
        A call that is cancelled, or breaks while something is sent, ends as cancelled and is no incident.
        """
        for error in (asyncio.CancelledError(), grpc.aio.InternalError("ExecuteBatchError")):
            raised, aborts = self.end(error)
            self.assertIsInstance(raised, asyncio.CancelledError)
            self.assertEqual(aborts, [])

    def test_not_admitted(self) -> None:
        """
        A call that is not admitted ends with what that raised, also where it had to wait to be told.
        """

        def refuse(context: Any) -> None:
            raise Overloaded("too many")

        async def refuse_later() -> None:
            raise Unavailable("starting")

        async def handler(request: Any, context: Any) -> bytes | None:
            raise AssertionError("it was called")

        for admit, code in (
            (refuse, grpc.StatusCode.RESOURCE_EXHAUSTED),
            (lambda context: refuse_later(), grpc.StatusCode.UNAVAILABLE),
        ):
            context: Any = Context()
            with self.assertRaises(Aborted):
                asyncio.run(_call(guarded(handler, always, admit), context))
            self.assertEqual([ended for ended, _ in context.aborts], [code])

    def test_unforeseen_errors_are_incidents(self) -> None:
        """
        What nobody foresaw is INTERNAL, and is logged.
        """
        _, aborts = self.end(ZeroDivisionError())
        self.assertEqual([code for code, _ in aborts], [grpc.StatusCode.INTERNAL])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class GateTests(SynchronousTestCase):
    """
    ``Gate`` lets calls in while the registry serves.
    """

    def setUp(self) -> None:
        """
        Make a gate.
        """
        self.gate = Gate()

    def enter(self) -> None:
        """
        Make a call that ends at once.
        """

        async def call() -> None:
            with self.gate.call():
                pass

        asyncio.run(call())

    def test_closed_until_opened_and_again_when_closed(self) -> None:
        """
        Calls are refused before the registry serves and once it stops.
        """
        self.assertIn("starting", str(self.assertRaises(Unavailable, self.enter)))
        self.gate.open()
        self.enter()
        self.gate.close()
        self.assertIn("stopping", str(self.assertRaises(Unavailable, self.enter)))

    def test_waits_for_the_start(self) -> None:
        """
        A call that comes while the registry starts waits until that is over, and is served or told that it stops.
        """

        async def begun(decide: Callable[[], None]) -> None:
            self.assertTrue(self.gate.is_starting)
            waiting = asyncio.create_task(self.gate.started())
            await asyncio.sleep(0)
            self.assertFalse(waiting.done())
            decide()
            await waiting
            self.assertFalse(self.gate.is_starting)

        asyncio.run(begun(self.gate.open))
        self.enter()
        self.gate = Gate()
        asyncio.run(begun(self.gate.close))
        self.assertIn("stopping", str(self.assertRaises(Unavailable, self.enter)))

    def test_does_not_wait_for_ever(self) -> None:
        """
        A call waits for a bounded time, and only so many wait.
        """
        self.assertIn("starting", str(self.assertRaises(Unavailable, asyncio.run, self.gate.started(0))))

        async def one_too_many() -> None:
            waiting = [asyncio.create_task(self.gate.started()) for _ in range(1000)]
            await asyncio.sleep(0)
            with self.assertRaises(Unavailable):
                await self.gate.started()
            self.gate.open()
            await asyncio.gather(*waiting)

        asyncio.run(one_too_many())

    def test_waits_for_the_last_call(self) -> None:
        """
        The gate is empty when the last call inside has ended, also one that failed.
        """

        async def calls() -> list[str]:
            ends = [asyncio.Event(), asyncio.Event()]
            log = []

            async def call(end: asyncio.Event) -> None:
                with self.gate.call():
                    await end.wait()
                    log.append("ended")
                    raise ZeroDivisionError

            self.gate.open()
            tasks = [asyncio.create_task(call(end)) for end in ends]
            await asyncio.sleep(0)
            self.gate.close()
            await self.gate.empty(0)
            log.append("not empty")
            for end in ends:
                end.set()
            await self.gate.empty()
            log.append("empty")
            await asyncio.gather(*tasks, return_exceptions=True)
            return log

        self.assertEqual(asyncio.run(calls()), ["not empty", "ended", "ended", "empty"])

    def test_cut_calls_are_unavailable_and_others_cancelled(self) -> None:
        """
        A call that the server ends is told to try again; one that its client ended is nobody's to tell.
        """

        async def call() -> None:
            with self.gate.call():
                await asyncio.sleep(3600)

        async def calls() -> list[object]:
            self.gate.open()
            left, cut = [asyncio.create_task(call()) for _ in range(2)]
            await asyncio.sleep(0)
            left.cancel()
            await asyncio.wait([left])
            self.gate.cut()
            await self.gate.empty()
            return list(await asyncio.gather(left, cut, return_exceptions=True))

        left, cut = asyncio.run(calls())
        self.assertIsInstance(left, asyncio.CancelledError)
        self.assertIsInstance(cut, Unavailable)
