"""
Calls in process: the chain that gRPC's calls pass, for another edge.

Each call runs as a task in the server's event loop, with a context that stands for gRPC's side of it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import CancelledError as FutureCancelled, Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NoReturn

import grpc
import grpc.aio
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorFromThreads
from zope.interface import implementer

from twisted_registry.contracts.calls import CallFailed, ICalls, IReplyStream, LocalCall, Metadatum
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.chain import Interceptor, wrapped
from twisted_registry.rpc.methods import Service

_EOF: Any = vars(grpc.aio)["EOF"]  # the type stubs lack it

_DEADLINE_TEXT = "the call took longer than its caller waits"
_STOPPED_TEXT = "the registry has stopped; try again when it is back"


class _Aborted(grpc.aio.AbortError):
    """
    The end of a call with an error, as the chain expects it from gRPC.
    """


class _LocalContext:
    """
    A stand-in for gRPC's side of a call.
    """

    def __init__(
        self,
        call: LocalCall,
        send: Callable[[Any], Awaitable[None]] | None,
        executor: Executor,
        certificate_names: Callable[[bytes], Sequence[str]],
    ) -> None:
        self._call = call
        self._executor = executor
        self._certificate_names = certificate_names
        self._requests = [call.request]
        self._ends_seconds = None if call.timeout_seconds is None else time.monotonic() + call.timeout_seconds
        self._callbacks: list[Callable[[Any], None]] = []
        self.trailing: Sequence[Metadatum] = ()
        self.failure: CallFailed | None = None
        self.write: Any = send

    def peer(self) -> str:
        return self._call.peer

    def invocation_metadata(self) -> Sequence[Metadatum]:
        return self._call.metadata

    def time_remaining(self) -> float | None:
        return None if self._ends_seconds is None else max(0.0, self._ends_seconds - time.monotonic())

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        pem = self._call.certificate
        if not pem:
            return {}
        return {"x509_pem_cert": [pem], "peer_dns": [name.encode() for name in self._certificate_names(pem)]}

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._callbacks.append(callback)

    def set_trailing_metadata(self, metadata: Sequence[Metadatum]) -> None:
        self.trailing = metadata

    async def send_initial_metadata(self, metadata: Sequence[Metadatum]) -> None:
        pass  # no edge in process forwards them

    async def read(self) -> Any:
        if not self._requests:
            return _EOF
        request = self._requests.pop()
        if isinstance(request, bytes):
            return request
        return await asyncio.get_running_loop().run_in_executor(self._executor, request)

    async def abort(self, code: grpc.StatusCode, text: str, trailing: Sequence[Metadatum] = ()) -> NoReturn:
        self.failure = CallFailed(code.name, text, trailing)
        raise _Aborted

    def end(self) -> None:
        for callback in self._callbacks:
            callback(self)


class _PlainCallContext(CallContext):
    """
    The context of a call that came on a connection that is not encrypted.
    """

    __slots__ = ()
    is_plain = True


@implementer(ICalls)
class InProcessCalls:
    """
    The calls of a server, made in its process.
    """

    def __init__(
        self,
        reactor: IReactorFromThreads,
        loop: asyncio.AbstractEventLoop,
        services: Sequence[Service],
        chain: Sequence[Interceptor],
        certificate_names: Callable[[bytes], Sequence[str]] = lambda pem: (),
    ) -> None:
        """

        Args:
            loop: the server's event loop.
            services: the services whose calls can be made.
            chain: the interceptors that each call passes.
            certificate_names: returns the names in a client's certificate in PEM.
        """
        self._certificate_names = certificate_names
        self._reactor = reactor
        self._loop = loop
        # One thread, so that long requests delay each other and nothing else.
        self._executor = ThreadPoolExecutor(1, "long-requests")
        self._methods = {method.path: method for service in services for method in service.methods}
        self._handlers = {path: each for service in services for path, each in wrapped(service, chain).items()}

    def call(self, call: LocalCall) -> "Deferred[bytes]":
        """See ``ICalls.call``."""
        return self._deferred(self._reply(call))

    def stream(self, call: LocalCall, receive: Callable[[bytes], None]) -> IReplyStream:
        """See ``ICalls.stream``."""
        stream = _ReplyStream(self._reactor, self._loop, receive)
        stream.finished = self._deferred(self._run(call, stream.send))
        return stream

    async def _reply(self, call: LocalCall) -> bytes:
        return _serialized(await self._run(call, None))

    async def _run(self, call: LocalCall, send: Callable[[Any], Awaitable[None]] | None) -> Any:
        method = self._methods.get(call.path)
        if method is None or method.streams_replies != (send is not None):
            raise CallFailed(grpc.StatusCode.UNIMPLEMENTED.name, "the registry has no such call")
        context = _LocalContext(call, send, self._executor, self._certificate_names)
        make_context = CallContext if call.is_encrypted else _PlainCallContext
        try:
            async with asyncio.timeout(call.timeout_seconds):
                return await self._handlers[call.path](None, make_context(method, context))
        except TimeoutError:
            raise CallFailed(grpc.StatusCode.DEADLINE_EXCEEDED.name, _DEADLINE_TEXT) from None
        except _Aborted:
            assert context.failure is not None, "abort sets it"
            raise context.failure from None
        finally:
            context.end()

    def _deferred(self, running: Any) -> "Deferred[Any]":
        """
        Start a coroutine in the event loop, and return its result in the reactor's thread.
        """
        outcome = _outcome(running)
        try:
            future = asyncio.run_coroutine_threadsafe(outcome, self._loop)
        except RuntimeError:  # the loop is closed
            outcome.close()
            running.close()
            return fail(CallFailed(grpc.StatusCode.UNAVAILABLE.name, _STOPPED_TEXT))

        def cancel(_: "Deferred[Any]") -> None:
            future.cancel()

        deferred: Deferred[Any] = Deferred(cancel)

        def settle() -> None:
            if deferred.called:
                return  # it was cancelled
            try:
                result, error = future.result()
            except FutureCancelled:
                result, error = None, CallFailed(grpc.StatusCode.CANCELLED.name, "the call was cancelled")
            if error is None:
                deferred.callback(result)
            else:
                deferred.errback(error)

        def done(_: "Future[Any]") -> None:
            with suppress(Exception):  # the reactor has stopped, and nobody waits
                self._reactor.callFromThread(settle)

        future.add_done_callback(done)
        return deferred


@implementer(IReplyStream)
class _ReplyStream:
    """
    A call that sends its messages one by one: the next leaves once the reactor's thread has taken the last.

    Attributes:
        finished: see ``IReplyStream``.
    """

    finished: "Deferred[Any]"

    def __init__(
        self, reactor: IReactorFromThreads, loop: asyncio.AbstractEventLoop, receive: Callable[[bytes], None]
    ) -> None:
        self._reactor = reactor
        self._loop = loop
        self._receive = receive
        self._may_send = asyncio.Event()
        self._may_send.set()

    def pause(self) -> None:
        """See ``IReplyStream.pause``."""
        self._run_soon(self._may_send.clear)

    def resume(self) -> None:
        """See ``IReplyStream.resume``."""
        self._run_soon(self._may_send.set)

    async def send(self, message: Any) -> None:
        """
        Send a message, once that is permitted, and wait until it is taken.
        """
        await self._may_send.wait()
        taken = asyncio.Event()

        def take() -> None:
            try:
                self._receive(_serialized(message))
            finally:
                self._run_soon(taken.set)

        self._reactor.callFromThread(take)
        await taken.wait()

    def _run_soon(self, function: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(function)


async def _outcome(running: Coroutine[Any, Any, Any]) -> tuple[Any, Exception | None]:
    """
    Wait for a coroutine, and return its result or its error: asyncio logs the error of a task that nobody asks for it,
    and the call may be cancelled at the moment when it fails.
    """
    try:
        return await running, None
    except Exception as error:
        return None, error


def _serialized(reply: Any) -> bytes:
    return reply if isinstance(reply, bytes) else bytes(reply.SerializeToString())
