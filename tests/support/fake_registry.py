"""
A registry that says whatever a test likes.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf.message import Message


class FakeRegistry(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in the stubs alone
    """
    A server that answers calls with one request and one reply.

    Attributes:
        address: where clients connect to.
        metadata: what came with the last call.
    """

    def __init__(self, answers: Mapping[str, Message], credentials: "grpc.ServerCredentials | None" = None) -> None:
        """

        Args:
            answers: by the calls' names; others are ``UNIMPLEMENTED``.
            credentials: for TLS.
        """
        self._answers = answers
        self.metadata: dict[str, Any] = {}
        self._server = grpc.server(ThreadPoolExecutor(2), handlers=[self])
        if credentials is None:
            port = self._server.add_insecure_port("127.0.0.1:0")
        else:
            port = self._server.add_secure_port("127.0.0.1:0", credentials)
        self.address = f"localhost:{port}"
        self._server.start()

    def close(self) -> None:
        """
        Serve no more.
        """
        self._server.stop(None).wait()

    def service(self, handler_call_details: Any) -> Any:
        """
        Set the answers to a call.
        """
        answer = self._answers.get(handler_call_details.method.rpartition("/")[2])
        if answer is None:
            return None
        self.metadata = dict(handler_call_details.invocation_metadata)
        return grpc.unary_unary_rpc_method_handler(lambda request, context: answer.SerializeToString())
