"""
The ceiling: a server that does what every server of this API must, and nothing else.

It receives and throws away, and sends constants: ``grpc.aio`` on uvloop, handlers that take and give raw bytes, the
options of the transport that measured best, memory that is reused, chunks as the registry sends them.  What the
registry takes beyond it is the registry's own.

With ``--hash`` it does one thing more that the API demands: it computes the SHA-256 of what it receives, in a thread,
while it receives.  Run as ``python -m benchmarks.ceiling``, it prints the port it listens on.
"""

import argparse
import asyncio
import hashlib
import signal
from collections.abc import Callable, Iterable, Sequence
from queue import SimpleQueue
from typing import Any

import grpc
import grpc.aio
import uvloop

from benchmarks import messages
from twisted_registry.daemon.malloc import reuse_memory
from twisted_registry.protocol.messages import SERVICE_NAME

_EOF: Any = grpc.aio.EOF  # type: ignore[attr-defined]  # the stubs do not know it
_TCP_CHUNK_BYTES = 4 * 1024 * 1024

_OPTIONS: list[tuple[str, Any]] = [
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.experimental.tcp_min_read_chunk_size", _TCP_CHUNK_BYTES),
    ("grpc.experimental.tcp_read_chunk_size", _TCP_CHUNK_BYTES),
    ("grpc.experimental.tcp_max_read_chunk_size", _TCP_CHUNK_BYTES),
]


class Ceiling:
    """
    The handlers.

    What it answers is made before the first call: of each size that is measured there is one model, and one reply to
    each request that a client here makes.
    """

    def __init__(self, sizes: Iterable[int], *, hashing: bool) -> None:
        """

        Args:
            sizes: of the versions, in bytes.
            hashing: whether what is received is hashed.
        """
        self._create = self.hash_version if hashing else self.create_version
        self._infos: dict[bytes, bytes] = {}
        self._some_infos = messages.latest_reply("m", messages.KIB)
        self._frames: dict[bytes, list[bytes]] = {}
        self._update = messages.update_reply("m", messages.KIB)
        self._created = messages.created_reply("m", messages.KIB)
        self._subscribed: set[asyncio.Event] = set()
        for size_bytes in sizes:
            model_id = messages.model_of(size_bytes)
            self._frames[messages.data_request(model_id)] = messages.data_frames(size_bytes)
            self._infos[messages.latest_request(model_id)] = messages.latest_reply(model_id, size_bytes)
            page = range(1, messages.PAGE_LENGTH + 1)
            self._infos[messages.page_request(model_id, 1)] = messages.infos_reply(model_id, page, size_bytes)

    async def create_version(self, _: Any, context: Any) -> bytes:
        """
        Throw away what comes; then tell the subscribers.
        """
        while await context.read() is not _EOF:
            pass
        return self._done()

    async def hash_version(self, _: Any, context: Any) -> bytes:
        """
        Hash what comes, and throw it away; then tell the subscribers.
        """
        messages: SimpleQueue[bytes | None] = SimpleQueue()
        hashed = asyncio.get_running_loop().run_in_executor(None, _hash, messages)
        while (message := await context.read()) is not _EOF:
            messages.put(message)
        messages.put(None)
        await hashed
        return self._done()

    def _done(self) -> bytes:
        for event in self._subscribed:
            event.set()
        return self._created

    async def retrieve_version_data(self, request: bytes, context: Any) -> None:
        """
        Send the same chunks to everybody.
        """
        for frame in self._frames[request]:
            await context.write(frame)

    async def retrieve_version_infos(self, request: bytes, _: Any) -> bytes:
        """
        Send the reply that was made for this request; to others, one of an info.
        """
        return self._infos.get(request, self._some_infos)

    async def version_update(self, _: bytes, context: Any) -> None:
        """
        Send an update at once, and one whenever anything was received.
        """
        event = asyncio.Event()
        self._subscribed.add(event)
        try:
            while True:
                await context.write(self._update)
                await event.wait()
                event.clear()
        finally:
            self._subscribed.discard(event)

    async def save_model(self, _: bytes, __: Any) -> bytes:
        """
        Do nothing.
        """
        return b""

    def handler(self) -> "grpc.GenericRpcHandler[Any, Any]":
        """
        Return the service to add to a server.
        """
        kinds: dict[str, tuple[Callable[[Any], Any], Callable[..., Any]]] = {
            "CreateOrUpdateModel": (grpc.unary_unary_rpc_method_handler, self.save_model),
            "CreateVersion": (grpc.stream_unary_rpc_method_handler, self._create),
            "RetrieveVersionData": (grpc.unary_stream_rpc_method_handler, self.retrieve_version_data),
            "RetrieveVersionInfos": (grpc.unary_unary_rpc_method_handler, self.retrieve_version_infos),
            "VersionUpdate": (grpc.unary_stream_rpc_method_handler, self.version_update),
        }
        return grpc.method_handlers_generic_handler(
            SERVICE_NAME, {name: kind(handler) for name, (kind, handler) in kinds.items()}
        )


def _hash(messages: "SimpleQueue[bytes | None]") -> bytes:
    sha256 = hashlib.sha256()
    while (message := messages.get()) is not None:
        sha256.update(message)
    return sha256.digest()


async def _serve(ceiling: Ceiling) -> None:
    server = grpc.aio.server(options=_OPTIONS)
    server.add_generic_rpc_handlers((ceiling.handler(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"listening on 127.0.0.1:{port}", flush=True)
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    await stopping.wait()
    await server.stop(0)


def main(words: Sequence[str] | None = None) -> None:
    """
    Serve until SIGTERM.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ceiling")
    parser.add_argument("--hash", action="store_true", help="hash what is received")
    arguments = parser.parse_args(words)
    reuse_memory()
    uvloop.run(_serve(Ceiling(messages.SIZES, hashing=arguments.hash)))


if __name__ == "__main__":
    main()
