"""
The registry's use of the machine, with bounds.
"""

import random
from collections.abc import Iterator

from benchmarks import messages
from benchmarks.case import Fact, Operation
from benchmarks.client.connection import CallFailed
from benchmarks.client.loads import repeat
from benchmarks.context import Context
from benchmarks.messages import KIB, MIB, path, prefixed
from benchmarks.servers import Server
from benchmarks.suites.calls import create, save
from benchmarks.suites.push import audience

_SUBSCRIBERS, _MOST_SUBSCRIBER_KB = 1000, 50.0
_CACHE_BYTES, _MOST_PER_CACHED_BYTE = 512 * MIB, 1.2
_LARGE_BYTES, _MOST_LARGE_MB = 4096 * MIB, 200.0
_SHORT_LARGE_BYTES = 64 * MIB
_MODEL, _ARCHIVED = "m", "archived"


def run(context: Context) -> Iterator[Operation | Fact]:
    """
    Measure them.
    """
    with context.registry("registry with subscribers") as server:
        yield from _subscribers(server, context.times(_SUBSCRIBERS))
    with context.registry("registry with a large version") as server:
        yield from _large(server, _SHORT_LARGE_BYTES if context.short else _LARGE_BYTES)
    limit = ("--version-cache-max-bytes", str(_CACHE_BYTES), "--version-cache-max-items", "1000000")
    with context.registry("registry whose cache is full", *limit) as server:
        yield from _cache(server, context.times(600), context.times(40))


def _subscribers(server: Server, count: int) -> Iterator[Fact]:
    save(server, _MODEL)
    create(server, _MODEL, KIB)
    memory, threads = server.memory_bytes(), server.threads()
    subscribed = audience(server, _MODEL, count)
    each_kb = (server.memory_bytes() - memory) / count / 1000
    yield Fact(f"memory of each of {count:,} subscribers, a connection each, KB", each_kb, _MOST_SUBSCRIBER_KB)
    yield Fact(f"threads that {count:,} subscribers cost", server.threads() - threads, 0)
    subscribed.close()


def _large(server: Server, size_bytes: int) -> Iterator[Fact]:
    save(server, _MODEL)
    create(server, _MODEL, size_bytes, archived=True)
    request = [prefixed(messages.data_request(_MODEL))]
    repeat(server.port, path("RetrieveVersionData"), [request], 1, 1, messages.received_bytes(size_bytes))
    peak_mb = server.memory_bytes(peak=True) / 1e6
    yield Fact(f"memory while {size_bytes // MIB:,} MiB are archived, and retrieved, MB", peak_mb, _MOST_LARGE_MB)


def _cache(server: Server, versions: int, reads: int) -> Iterator[Fact]:
    # Sizes of all kinds come and go, so that what is freed has other sizes than what comes.
    chance = random.Random(1)
    empty = server.memory_bytes()
    sizes = [int(KIB * 2 ** chance.uniform(0, 14)) for _ in range(versions)]
    for number, size_bytes in enumerate(sizes):
        model_id = f"model-{number % 50}"
        if number < 50:
            save(server, model_id)
        create(server, model_id, size_bytes)
    cached = min(sum(sizes), _CACHE_BYTES)
    yield Fact("memory for each byte in a full cache", (server.memory_bytes() - empty) / cached, _MOST_PER_CACHED_BYTE)
    save(server, _ARCHIVED)
    for _ in range(reads):
        create(server, _ARCHIVED, 32 * MIB, archived=True)
        _read(server, _ARCHIVED)
    lost = sum(not _is_held(server, f"model-{number}") for number in range(min(50, versions)))
    yield Fact(f"latest versions lost, of 50, when {reads} archived ones of 32 MiB were read", lost, 0)


def _read(server: Server, model_id: str) -> None:
    repeat(server.port, path("RetrieveVersionData"), [[prefixed(messages.data_request(model_id))]], 1)


def _is_held(server: Server, model_id: str) -> bool:
    try:
        _read(server, model_id)
    except CallFailed:
        return False
    return True
