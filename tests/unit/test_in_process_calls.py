"""
Tests for ``twisted_registry.rpc.in_process``.
"""

import asyncio
import gc
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from attrs import evolve, frozen
from twisted.internet.interfaces import IReactorFromThreads
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from tests.support.access import Grants, NamedTokens, grant
from tests.support.calls import METHOD
from twisted_registry.access.callers import Callers
from twisted_registry.config.limits import ClientLimits
from twisted_registry.contracts.calls import CallFailed, ICalls, IReplyStream, LocalCall
from twisted_registry.contracts.ownership import ArchiveStatus
from twisted_registry.domain.access import Action, Caller
from twisted_registry.domain.errors import InvalidRequest, UnknownModel
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.chain import ArchiveIdentityCheck, end_failed_calls, interceptors
from twisted_registry.rpc.in_process import InProcessCalls
from twisted_registry.rpc.interceptors.authentication import Authentication
from twisted_registry.rpc.interceptors.call_tracker import CallTracker
from twisted_registry.rpc.interceptors.idle_timeout import IdleTimeout
from twisted_registry.rpc.methods import Method

LIMITS = ClientLimits(connections_max=9, calls_per_connection_max=9, calls_per_client_max=9, calls_max=9)
PEER = "ipv4:127.0.0.1:5000"
REMOTE = "ipv4:10.0.0.1:5000"


@implementer(IReactorFromThreads)
class Reactor:
    """
    A reactor whose thread is this one.
    """

    def callFromThread(self, callable: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """See ``IReactorFromThreads.callFromThread``."""
        callable(*args, **kwargs)


@frozen
class Table:
    """
    A service of a test.
    """

    methods: list[Method]


async def echo(request: Any, call: CallContext) -> Any:
    """
    Return the request.
    """
    return request


async def fail(request: Any, call: CallContext) -> Any:
    """
    Fail with an error of the registry.
    """
    raise UnknownModel("walker")


async def who(request: Any, call: CallContext) -> Any:
    """
    Return the name of the caller.
    """
    assert call.caller is not None, "it is known"
    return call.caller.identity.name.encode()


async def wait(request: Any, call: CallContext) -> Any:
    """
    Wait until cancelled.
    """
    await asyncio.Event().wait()


async def fail_late(request: Any, call: CallContext) -> Any:
    """
    Wait until cancelled, and fail then.
    """
    try:
        await asyncio.Event().wait()
    finally:
        raise UnknownModel("walker")


async def count(request: Any, call: CallContext) -> Any:
    """
    Send three messages.
    """
    for number in range(3):
        await call.write(bytes([number]))


HANDLERS = {"echo": echo, "fail": fail, "wait": wait, "late": fail_late, "count": count}


def thread_name() -> bytes:
    """
    Return the name of the thread that runs this.
    """
    return threading.current_thread().name.encode()


async def run_nothing(function: Any) -> Caller:
    """
    Fail: nothing here blocks.
    """
    raise AssertionError(function)


class InProcessCallsTests(SynchronousTestCase):
    """
    Calls in process pass the chain, and end as gRPC's do.
    """

    def run_test(self, test: Callable[[], Awaitable[None]]) -> None:
        """
        Run a test with calls that are served.
        """

        async def run() -> None:
            self.tracker = tracker = CallTracker(LIMITS)
            tracker.open()
            methods = [
                evolve(METHOD, name=name, path=f"/t/{name}", handler=handler, streams_replies=name == "count")
                for name, handler in HANDLERS.items()
            ]
            chain = interceptors(tracker, ArchiveIdentityCheck(ArchiveStatus()), IdleTimeout(60.0), access_log=None)
            service: Any = Table(methods)
            self.calls = InProcessCalls(Reactor(), asyncio.get_running_loop(), [service], chain)
            await asyncio.wait_for(test(), 30)

        asyncio.run(run())

    def use_authentication(self) -> None:
        """
        Make calls with access control, to which one token is known.
        """
        callers = Callers([NamedTokens(names={"ann": None})], Grants(by_subject={"token:ann": [grant("reader", "*")]}))
        authentication = Authentication(callers, run_nothing, is_encrypted=True)
        service: Any = Table([evolve(METHOD, path="/t/who", handler=who, action=Action.READ)])
        chain = [end_failed_calls, authentication.intercept, IdleTimeout(60.0).intercept]
        self.calls = InProcessCalls(Reactor(), asyncio.get_running_loop(), [service], chain)

    async def code_of(
        self, path: str, timeout_seconds: float | None = None, request: bytes | Callable[[], bytes] = b""
    ) -> str:
        """
        Return the code of a call that fails.
        """
        calling = self.calls.call(LocalCall(path, request, PEER, timeout_seconds=timeout_seconds))
        with self.assertRaises(CallFailed) as caught:
            await calling.asFuture(asyncio.get_running_loop())
        self.error = caught.exception
        code: str = caught.exception.code
        return code

    def test_reply(self) -> None:
        """
        A call returns its reply, and is no longer counted.
        """

        async def test() -> None:
            verifyObject(ICalls, self.calls)
            reply = await self.calls.call(LocalCall("/t/echo", b"given", PEER)).asFuture(asyncio.get_running_loop())
            self.assertEqual(reply, b"given")
            self.assertEqual(len(self.tracker), 0)

        self.run_test(test)

    def test_long_requests(self) -> None:
        """
        A request that takes long to read is read in another thread, and may be refused there.
        """

        def refuse() -> bytes:
            raise InvalidRequest("it is not valid; repair it")

        async def test() -> None:
            call = LocalCall("/t/echo", thread_name, PEER)
            reply = await self.calls.call(call).asFuture(asyncio.get_running_loop())
            self.assertIn(b"long-requests", reply)
            self.assertEqual(await self.code_of("/t/echo", request=refuse), "INVALID_ARGUMENT")

        self.run_test(test)

    def test_long_requests_of_strangers(self) -> None:
        """
        Such a request is not read if it is not known who sends it.
        """

        async def test() -> None:
            self.use_authentication()
            self.assertEqual(await self.code_of("/t/who", request=self.fail), "UNAUTHENTICATED")

        self.run_test(test)

    def test_error(self) -> None:
        """
        An error of the registry has its code, its text and its details.
        """

        async def test() -> None:
            self.assertEqual(await self.code_of("/t/fail"), "NOT_FOUND")
            self.assertIn("'walker'", self.error.text)
            self.assertEqual([key for key, _ in self.error.trailing], ["x-request-id", "grpc-status-details-bin"])

        self.run_test(test)

    def test_unknown(self) -> None:
        """
        There are only the calls of the table, each in its form.
        """

        async def test() -> None:
            for path in ("/t/other", "/t/count"):
                self.assertEqual(await self.code_of(path), "UNIMPLEMENTED")

        self.run_test(test)

    def test_deadline(self) -> None:
        """
        A call ends with its time.
        """

        async def test() -> None:
            self.assertEqual(await self.code_of("/t/wait", timeout_seconds=0.01), "DEADLINE_EXCEEDED")

        self.run_test(test)

    def test_stop(self) -> None:
        """
        A server that stops refuses calls, and ends those under way.
        """

        async def test() -> None:
            waiting = asyncio.ensure_future(self.code_of("/t/wait"))
            while not len(self.tracker):
                await asyncio.sleep(0)
            self.tracker.close()
            self.assertEqual(await self.code_of("/t/echo"), "UNAVAILABLE")
            await self.tracker.serving.drain(0.0)
            self.assertEqual(await waiting, "UNAVAILABLE")

        self.run_test(test)

    def test_stopped(self) -> None:
        """
        A server that has stopped refuses calls.
        """

        async def test() -> None:
            """
            Make no call while it runs.
            """

        self.run_test(test)
        calling = self.calls.call(LocalCall("/t/echo", b"", PEER))
        stream = self.calls.stream(LocalCall("/t/count", b"", PEER), lambda message: None)
        for refused in (calling, stream.finished):
            self.assertEqual(self.failureResultOf(refused, CallFailed).value.code, "UNAVAILABLE")

    def test_cancel(self) -> None:
        """
        A cancelled Deferred ends its call.
        """

        async def test() -> None:
            calling = self.calls.call(LocalCall("/t/wait", b"", PEER))
            while not len(self.tracker):
                await asyncio.sleep(0)
            failures: list[Any] = []
            calling.addErrback(failures.append)
            calling.cancel()
            while len(self.tracker):
                await asyncio.sleep(0)
            self.assertEqual(len(failures), 1)

        self.run_test(test)

    def test_failure_of_a_cancelled_call(self) -> None:
        """
        The error of a call that fails when it is cancelled is not logged: nobody asks for it.
        """

        async def test() -> None:
            logged: list[Any] = []
            asyncio.get_running_loop().set_exception_handler(lambda loop, context: logged.append(context))
            calling = self.calls.call(LocalCall("/t/late", b"", PEER))
            while not len(self.tracker):
                await asyncio.sleep(0)
            calling.addErrback(lambda failure: None)
            calling.cancel()
            while len(self.tracker):
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            gc.collect()
            self.assertEqual(logged, [])

        self.run_test(test)

    def test_stream(self) -> None:
        """
        The messages of a stream arrive in order; none does while it is paused.
        """

        async def test() -> None:
            received: list[bytes] = []

            def receive(message: bytes) -> None:
                received.append(message)
                if message == b"\0":
                    stream.pause()

            stream = self.calls.stream(LocalCall("/t/count", b"", PEER), receive)
            verifyObject(IReplyStream, stream)
            while not received:
                await asyncio.sleep(0)
            for _ in range(10):
                await asyncio.sleep(0)
            self.assertEqual(received, [b"\0"])
            stream.resume()
            await stream.finished.asFuture(asyncio.get_running_loop())
            self.assertEqual(received, [b"\0", b"\1", b"\2"])

        self.run_test(test)

    def test_tokens_on_plain_connections(self) -> None:
        """
        A token that others could read on the way is refused, even if the connections of gRPC are encrypted.
        """

        async def test() -> None:
            self.use_authentication()
            found = []
            for peer, is_encrypted in ((REMOTE, False), (REMOTE, True), (PEER, False)):
                call = LocalCall("/t/who", b"", peer, [("authorization", "Bearer ann")], is_encrypted=is_encrypted)
                try:
                    found.append(await self.calls.call(call).asFuture(asyncio.get_running_loop()))
                except CallFailed as error:
                    found.append(error.code.encode())
            self.assertEqual(found, [b"UNAUTHENTICATED", b"ann", b"ann"])

        self.run_test(test)
