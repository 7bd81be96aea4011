"""
The client library beside a bare client of grpc.aio, against the same server.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

from benchmarks import callers, messages
from benchmarks.callers import BARE, BLOCKING, HASHING, LIBRARY, Caller
from benchmarks.case import Fact, Operation
from benchmarks.context import Context
from benchmarks.messages import KIB, MIB
from benchmarks.servers import Server
from benchmarks.suites.calls import NAMES, create, save

_TIMES = {KIB: 300, MIB: 60, 10 * MIB: 20, 100 * MIB: 3}
_RETRIEVE_BAR = 0.9
_CREATE_BAR = 0.8
_CACHE_BYTES = 512 * MIB


def run(context: Context) -> Iterator[Operation | Fact]:
    """
    Measure them.
    """
    with ExitStack() as stack:
        limit = ("--version-cache-max-bytes", str(_CACHE_BYTES))
        server = stack.enter_context(context.registry("registry of clients", *limit))
        _fill(server)
        own, blocking, bare, hashing = (
            stack.enter_context(callers.caller(kind, server, context.checkout))
            for kind in (LIBRARY, BLOCKING, BARE, HASHING)
        )
        for each in (own, blocking, bare, hashing):
            # In a process that has run for a while, freed memory is kept for what comes next.
            each.act("retrieve", _model(max(NAMES), False), 1, times=1)
        for size_bytes in NAMES:
            yield from _sized(context, size_bytes, own, bare, hashing)
        yield _pair(context, "client: latest info", own, bare, 1000, _RETRIEVE_BAR, 0, "latest", _model(KIB, False))
        yield _pair(
            context, "client, blocking: latest info", blocking, bare, 1000, None, 0, "latest", _model(KIB, False)
        )
        large = 10 * MIB
        words = "retrieve", _model(large, False), 1
        yield _pair(context, "client, blocking: retrieve 10 MiB", blocking, bare, 20, None, large, *words)


def _model(size_bytes: int, archived: bool) -> str:
    return f"{'archived' if archived else 'transient'}-{messages.model_of(size_bytes)}"


def _fill(server: Server) -> None:
    for size_bytes in NAMES:
        for archived in (False, True):
            save(server, _model(size_bytes, archived))
            create(server, _model(size_bytes, archived), size_bytes, archived=archived)
        save(server, f"new-{messages.model_of(size_bytes)}")


def _sized(context: Context, size_bytes: int, own: Caller, bare: Caller, hashing: Caller) -> Iterator[Operation]:
    times, what = _TIMES[size_bytes], NAMES[size_bytes]
    pair = partial(_pair, context)
    transient, archived = ((_model(size_bytes, each), 1) for each in (False, True))
    yield pair(f"client: retrieve {what}", own, bare, times, _RETRIEVE_BAR, size_bytes, "retrieve", *transient)
    for other in (bare, hashing):
        yield pair(
            f"client: retrieve {what}, archived", own, other, times, _RETRIEVE_BAR, size_bytes, "retrieve", *archived
        )
    words = "create", f"new-{messages.model_of(size_bytes)}", size_bytes
    yield pair(f"client: create {what}", own, bare, times, _CREATE_BAR, size_bytes, *words, False)
    yield pair(f"client: create {what}, archived", own, bare, times, _CREATE_BAR, size_bytes, *words, True)


def _pair(
    context: Context,
    name: str,
    own: Caller,
    other: Caller,
    times: int,
    bar: float | None,
    size_bytes: int,
    *words: object,
) -> Operation:
    return Operation(
        name,
        lambda count: own.act(*words, times=count),  # type: ignore[arg-type]
        lambda count: other.act(*words, times=count),  # type: ignore[arg-type]
        own.process,
        other.process,
        other.process.name,
        context.times(times),
        bar,
        size_bytes,
    )
