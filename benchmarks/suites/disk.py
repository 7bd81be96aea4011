"""
Archived versions, beside a bare program on the same disk.
"""

import time
from collections.abc import Iterator, Sequence
from functools import partial

from benchmarks import messages
from benchmarks.bare_disk import BareDisk
from benchmarks.case import Fact, Operation
from benchmarks.client.loads import repeat
from benchmarks.context import Context
from benchmarks.messages import KIB, MIB
from benchmarks.servers import Server
from benchmarks.suites.calls import NAMES, save

BARE = "bare disk"
ONE = "1 client of the registry"

_TIMES = {KIB: 50, MIB: 30, 10 * MIB: 10, 100 * MIB: 2}
_WRITERS = 4


def run(context: Context) -> Iterator[Operation | Fact]:
    """
    Measure them.
    """
    disk = BareDisk(context.directory / "bare")
    with context.registry("registry that archives", "--version-cache-max-bytes", str(MIB)) as own:
        for size_bytes in _TIMES:
            save(own, messages.model_of(size_bytes))
            yield from _beside_bare(context, own, disk, size_bytes)


def _beside_bare(context: Context, own: Server, disk: BareDisk, size_bytes: int) -> Iterator[Operation]:
    name = f"create archived, {NAMES[size_bytes]}"
    sent = messages.upload(messages.model_of(size_bytes), size_bytes, archived=True)
    one, many = partial(_create, own, sent, 1), partial(_create, own, sent, _WRITERS)
    bare = partial(_write, disk, list(messages.pieces(size_bytes)))
    times = context.times(_TIMES[size_bytes])
    bar = 0.8 if size_bytes >= MIB else None
    yield Operation(f"{name}, 1 client", one, bare, own, None, BARE, times, bar, size_bytes)
    several = f"{name}, {_WRITERS} clients"
    yield Operation(several, many, one, own, None, ONE, 2 * times, 1.0, size_bytes)


def _create(server: Server, sent: Sequence[bytes], clients: int, times: int) -> float:
    return repeat(server.port, messages.path("CreateVersion"), [sent], times, clients)


def _write(disk: BareDisk, pieces: Sequence[bytes], times: int) -> float:
    started = time.perf_counter()
    for _ in range(times):
        disk.create(pieces)
    return time.perf_counter() - started
