"""
The clients to measure, each in a separate process, so that none profits from the memory of another.

    python -m benchmarks.callers KIND ADDRESS

It reads one JSON object per line from stdin, runs the operation in it, and prints how many seconds it took.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Protocol

from attrs import frozen

from benchmarks.bare_client import BareClient
from benchmarks.servers import HERE, Checkout, Server
from twisted_registry.client import BlockingClient, Client

LIBRARY = "client library"
BLOCKING = "client library, blocking"
BARE = "bare client"
HASHING = "bare client with SHA-256"


class _Caller(Protocol):
    """
    The operations of every kind of client.
    """

    async def latest(self, model_id: str) -> Any:
        """
        Return the info of the latest version.
        """

    async def retrieve(self, model_id: str, version_number: int) -> Any:
        """
        Return a version's data.
        """

    async def create(self, model_id: str, data: bytes, archived: bool) -> Any:
        """
        Create a version.
        """


class _Library(Client):
    async def create(self, model_id: str, data: bytes, archived: bool) -> Any:
        """See ``_Caller``."""
        return await (self.store(model_id, data) if archived else self.publish(model_id, data))


class _Blocking:
    def __init__(self, address: str) -> None:
        self._client = BlockingClient(address)

    async def latest(self, model_id: str) -> Any:
        """See ``_Caller``."""
        return self._client.latest(model_id)

    async def retrieve(self, model_id: str, version_number: int) -> Any:
        """See ``_Caller``."""
        return self._client.retrieve(model_id, version_number)

    async def create(self, model_id: str, data: bytes, archived: bool) -> Any:
        """See ``_Caller``."""
        return (self._client.store if archived else self._client.publish)(model_id, data)


_KINDS: dict[str, Callable[[str], Any]] = {
    LIBRARY: _Library,
    BLOCKING: _Blocking,
    BARE: lambda address: BareClient(address, hashing=False),
    HASHING: lambda address: BareClient(address, hashing=True),
}


@frozen
class Caller:
    """
    A client's process.

    Attributes:
        process: as the table measures it: its time and its memory.
    """

    process: Server
    _child: "subprocess.Popen[str]"

    def act(self, name: str, *arguments: object, times: int) -> float:
        """
        Run an operation so many times, and return the seconds for all of them.
        """
        assert self._child.stdin is not None and self._child.stdout is not None
        self._child.stdin.write(json.dumps([name, arguments, times]) + "\n")
        self._child.stdin.flush()
        return float(self._child.stdout.readline())


@contextmanager
def caller(kind: str, server: Server, checkout: Checkout = HERE) -> Iterator[Caller]:
    """
    Run a client, for the length of a context.

    Args:
        checkout: the one whose client library, and whose copy of this module, runs.
    """
    command = [str(checkout.binaries / "python"), "-m", "benchmarks.callers", kind, f"127.0.0.1:{server.port}"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=checkout.root
    ) as child:
        yield Caller(Server(kind, 0, child.pid, 0.0), child)
        assert child.stdin is not None
        child.stdin.close()


# In the client's process.


def _act(client: _Caller, name: str, arguments: list[Any]) -> Awaitable[Any]:
    if name == "create":
        model_id, size_bytes, archived = arguments
        return client.create(model_id, _data(size_bytes), archived)
    return client.latest(*arguments) if name == "latest" else client.retrieve(*arguments)


@lru_cache
def _data(size_bytes: int) -> bytes:
    return os.urandom(size_bytes)


async def _serve(kind: str, address: str) -> None:
    client = _KINDS[kind](address)
    for line in sys.stdin:
        name, arguments, times = json.loads(line)
        started = time.perf_counter()
        for _ in range(times):
            await _act(client, name, arguments)
        print(time.perf_counter() - started, flush=True)


if __name__ == "__main__":
    asyncio.run(_serve(*sys.argv[1:]))
