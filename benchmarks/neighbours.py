"""
Tenants that call as fast as they can, each in a separate process, and never wait as long as a refusal asks for.

    python -m benchmarks.neighbours KIND ADDRESS TOKEN MODEL

It calls after a line ``start`` on stdin.  After a line ``stop`` it prints how many calls were permitted since, and how
many were refused.  It gives way to other processes (``nice``), because tenants have separate machines.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc.aio
from attrs import frozen

from benchmarks.messages import MIB, data_request, latest_request, path, pieces
from benchmarks.servers import HERE, Server
from twisted_registry.protocol.messages import api

CALLS, UPLOADS, DOWNLOADS = "calls", "uploads", "downloads"
CONCURRENT = {CALLS: 64, UPLOADS: 16, DOWNLOADS: 16}
"""How many calls each makes at once, by their kind."""

SIZE_BYTES = 10 * MIB


@frozen
class Neighbour:
    """
    A tenant's process.
    """

    _child: "subprocess.Popen[str]"

    def start(self) -> None:
        """
        Let it call.
        """
        self._say("start")

    def stop(self) -> tuple[int, int]:
        """
        Let it rest, and return how many calls were permitted, and how many were refused.
        """
        permitted, refused = json.loads(self._say("stop"))
        return permitted, refused

    def _say(self, word: str) -> str:
        assert self._child.stdin is not None and self._child.stdout is not None
        self._child.stdin.write(word + "\n")
        self._child.stdin.flush()
        return self._child.stdout.readline()


@contextmanager
def neighbour(kind: str, server: Server, token: str, model_id: str) -> Iterator[Neighbour]:
    """
    Run a tenant, for the length of a context.
    """
    command = [sys.executable, "-m", "benchmarks.neighbours", kind, f"127.0.0.1:{server.port}", token, model_id]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=HERE.root) as child:
        yield Neighbour(child)
        assert child.stdin is not None
        child.stdin.close()


# In the tenant's process.


def _act(kind: str, channel: grpc.aio.Channel, token: str, model_id: str) -> Callable[[], Awaitable[None]]:
    metadata = (("authorization", f"Bearer {token}"),)
    if kind == UPLOADS:
        call: Any = channel.stream_unary(path("CreateVersion"), None, None)
        info = api.ModelVersionInfo(model_id=model_id, data_size=SIZE_BYTES)
        header = api.CreateVersionRequestChunk(header=api.CreateVersionRequestChunk.Header(version_info=info))
        bodies = [
            api.CreateVersionRequestChunk(body=api.CreateVersionRequestChunk.Body(data_chunk=piece))
            for piece in pieces(SIZE_BYTES)
        ]
        messages = [each.SerializeToString() for each in (header, *bodies)]

        async def upload() -> None:
            await call(iter(messages), metadata=metadata)

        return upload
    method, request = (
        ("RetrieveVersionData", data_request(model_id))
        if kind == DOWNLOADS
        else ("RetrieveVersionInfos", latest_request(model_id))
    )
    stream: Any = channel.unary_stream(path(method), None, None)

    async def ask() -> None:
        async for _ in stream(request, metadata=metadata):
            pass

    return ask


async def _run(kind: str, address: str, token: str, model_id: str) -> None:
    os.nice(19)
    counts: Counter[bool] = Counter()
    may_call = asyncio.Event()
    channel = grpc.aio.insecure_channel(address)
    act = _act(kind, channel, token, model_id)

    async def one() -> None:
        while True:
            await may_call.wait()
            try:
                await act()
                counts[True] += 1
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                    raise
                counts[False] += 1

    tasks = [asyncio.create_task(one()) for _ in range(CONCURRENT[kind])]
    while line := await asyncio.to_thread(sys.stdin.readline):
        if line == "start\n":
            counts.clear()
            may_call.set()
        else:
            may_call.clear()
        print(json.dumps([counts[True], counts[False]]), flush=True)
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    asyncio.run(_run(*sys.argv[1:]))
