"""
A server that answers as a test says: one of another make, or one that is out of order.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from twisted_registry.domain.errors import RegistryError
from twisted_registry.protocol.messages import POOL, REGISTRY_SERVICE_NAME, SERVICE, SERVICE_NAME
from twisted_registry.rpc.chain import details_of, status_of

Answer = Callable[[Any, grpc.ServicerContext], Any]
"""
A handler: it takes a request as bytes, or an iterator of them, and returns a message, or an iterator for a streaming
reply.
"""

REGISTRY_SERVICE = POOL.FindServiceByName(REGISTRY_SERVICE_NAME)

_KINDS = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
}


def _serialized(message: Any) -> bytes:
    return message if isinstance(message, bytes) else bytes(message.SerializeToString())


def refusal(code: grpc.StatusCode, text: str = "no") -> Answer:
    """
    Make an answer that ends the call with a bare status.
    """

    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        context.abort(code, text)

    return answer


def failure(error: RegistryError) -> Answer:
    """
    Make an answer that ends the call as the registry does with an error.
    """

    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        code, text = status_of(error)
        context.set_trailing_metadata(details_of(error, code, text))
        context.abort(code, text)

    return answer


def in_turn(*answers: Answer) -> Answer:
    """
    Make an answer that is another one each time, and the last one from then on.
    """
    left = list(answers)

    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        return (left.pop(0) if len(left) > 1 else left[0])(request, context)

    return answer


def failing_stream(code: grpc.StatusCode, text: str = "no") -> Answer:
    """
    Make an answer that ends a call whose reply streams with a bare status.
    """

    def answer(request: Any, context: grpc.ServicerContext) -> Iterator[bytes]:
        yield refusal(code, text)(request, context)

    return answer


def streamed(*messages: Any, then: Answer | None = None) -> Answer:
    """
    Make an answer whose messages are always the same, with an error at the end if one is given.
    """

    def answer(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        yield from messages
        if then is not None:
            then(request, context)

    return answer


class FakeServer:
    """
    A server that answers the registry's calls with given handlers.  The names of those of ``twisted_registry.v1`` begin
    with ``v1_``.

    Attributes:
        also: other addresses to listen at.
        metadata: the metadata of each call.
    """

    also: Sequence[str] = ()

    def __init__(
        self,
        credentials: grpc.ServerCredentials | None = None,
        compression: grpc.Compression | None = None,
        **answers: Answer,
    ) -> None:
        self.metadata: list[dict[str, Any]] = []
        options = [("grpc.so_reuseport", 0), ("grpc.max_send_message_length", -1)]
        self._server = grpc.server(ThreadPoolExecutor(8), options=options, compression=compression)
        handlers = {name: self._handler(name, answer) for name, answer in answers.items()}
        for service_name, prefix in ((SERVICE_NAME, ""), (REGISTRY_SERVICE_NAME, "v1_")):
            own = {
                name.removeprefix(prefix): handlers[name] for name in answers if name.startswith("v1_") == bool(prefix)
            }
            self._server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service_name, own)])
        if credentials is None:
            port = self._server.add_insecure_port("127.0.0.1:0")
        else:
            port = self._server.add_secure_port("127.0.0.1:0", credentials)
        for address in self.also:
            self._server.add_insecure_port(address)
        self.address = f"127.0.0.1:{port}"
        self._server.start()

    def _handler(self, name: str, answer: Answer) -> Any:
        def noted(request: Any, context: grpc.ServicerContext) -> Any:
            self.metadata.append(dict(context.invocation_metadata()))
            return answer(request, context)

        service = REGISTRY_SERVICE if name.startswith("v1_") else SERVICE
        method = service.methods_by_name[name.removeprefix("v1_")]
        make: Any = _KINDS[method.client_streaming, method.server_streaming]
        return make(noted, response_serializer=_serialized)

    def stop(self) -> None:
        """
        Stop, and cancel all calls.
        """
        self._server.stop(None).wait()
