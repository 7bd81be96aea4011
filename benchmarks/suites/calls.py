"""
Whole calls of one kind, again and again: data in, data out, and small answers.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial

from benchmarks import messages, servers
from benchmarks.case import Fact, Operation
from benchmarks.client.loads import repeat
from benchmarks.context import Context
from benchmarks.messages import KIB, MIB, prefixed
from benchmarks.servers import Server

CEILING = "ceiling"
HASHING = "ceiling with SHA-256"

_CACHE_BYTES = 1024 * MIB
_MOST_ITEMS = 100
_NO_COPY_BYTES = 4 * MIB
"""An eighth of it is the largest archived version of which a copy is kept in memory."""

NAMES = {KIB: "1 KB", MIB: "1 MiB", 10 * MIB: "10 MiB", 100 * MIB: "100 MiB"}
_TIMES = {KIB: 500, MIB: 60, 10 * MIB: 20, 100 * MIB: 4}
_CLIENTS = (1, 4)


def _clients(count: int) -> str:
    return f"{count} client" if count == 1 else f"{count} clients"


def _call(server: Server, method: str, sent: Sequence[bytes], clients: int, received: int | None, times: int) -> float:
    return repeat(server.port, messages.path(method), [sent], times, clients, received)


def save(server: Server, model_id: str) -> None:
    """
    Make a model.
    """
    _call(server, "CreateOrUpdateModel", messages.save_request(model_id), 1, None, 1)


def create(server: Server, model_id: str, size_bytes: int, *, archived: bool = False, times: int = 1) -> None:
    """
    Create versions.
    """
    _call(server, "CreateVersion", messages.upload(model_id, size_bytes, archived=archived), 1, None, times)


def _both(
    context: Context,
    name: str,
    pair: tuple[Server, Server],
    act: Callable[[Server, int], float],
    times: int,
    bar: float | None,
    size_bytes: int = 0,
) -> Operation:
    own, other = pair
    return Operation(
        name, partial(act, own), partial(act, other), own, other, other.name, context.times(times), bar, size_bytes
    )


def run(context: Context) -> Iterator[Operation | Fact]:
    """
    Measure them.
    """
    with ExitStack() as stack:
        limit = "--version-cache-max-bytes"
        own = stack.enter_context(context.registry("registry", limit, str(_CACHE_BYTES)))
        archive = stack.enter_context(context.registry("registry without copies", limit, str(_NO_COPY_BYTES)))
        bare = stack.enter_context(servers.ceiling(CEILING, context.directory))
        hashing = stack.enter_context(servers.ceiling(HASHING, context.directory, "--hash"))
        copies = stack.enter_context(context.registry("registry with copies"))
        _fill(own, copies, archive)
        yield from _small(context, own, bare)
        for size_bytes in NAMES:
            _fill_cache(context, own, size_bytes)
            for clients in _CLIENTS:
                yield from _data(context, size_bytes, clients, own, copies, archive, bare, hashing)


def _fill(own: Server, copies: Server, archive: Server) -> None:
    for size_bytes in NAMES:
        model_id = messages.model_of(size_bytes)
        for server in (own, copies, archive):
            save(server, model_id)
        create(own, model_id, size_bytes)
        for server in (copies, archive):
            create(server, model_id, size_bytes, archived=True)


def _fill_cache(context: Context, own: Server, size_bytes: int) -> None:
    # The cache is full when it is measured, as it is in a registry that has run for a while.
    if size_bytes >= MIB:
        versions = min(_CACHE_BYTES // size_bytes + 2, _MOST_ITEMS + 2)
        create(own, messages.model_of(size_bytes), size_bytes, times=context.times(versions))


def _small(context: Context, own: Server, bare: Server) -> Iterator[Operation]:
    model_id = messages.model_of(KIB)
    for clients in (1, 16):
        ask = partial(_small_call, messages.latest_request(model_id), clients)
        yield _both(context, f"latest info, {_clients(clients)}", (own, bare), ask, 1500 * min(clients, 4), 0.8)
    others = partial(_unlike, messages.latest_request(model_id))
    yield _both(context, "latest info, serialized each time, 1 client", (own, bare), others, 1500, None)
    page = partial(_small_call, messages.page_request(model_id, 1), 1)
    yield _both(context, f"page of {messages.PAGE_LENGTH} infos, 1 client", (own, bare), page, 1000, None)


def _small_call(request: bytes, clients: int, server: Server, times: int) -> float:
    return _call(server, "RetrieveVersionInfos", [prefixed(request)], clients, None, times)


def _unlike(request: bytes, server: Server, times: int) -> float:
    return repeat(server.port, messages.path("RetrieveVersionInfos"), messages.unlike(request, times), times)


def _data(
    context: Context,
    size_bytes: int,
    clients: int,
    own: Server,
    copies: Server,
    archive: Server,
    bare: Server,
    hashing: Server,
) -> Iterator[Operation]:
    times = _TIMES[size_bytes] * (1 if clients == 1 else 2)
    what = f"{NAMES[size_bytes]}, {_clients(clients)}"
    large = size_bytes >= 10 * MIB
    model_id = messages.model_of(size_bytes)
    upload = partial(_upload, messages.upload(model_id, size_bytes, archived=False), clients)
    for other in (bare, hashing):
        bar = (0.75 if clients == 1 else 0.7) if size_bytes == 10 * MIB else None
        yield _both(context, f"create transient, {what}", (own, other), upload, times, bar, size_bytes)
    request = [prefixed(messages.data_request(model_id))]
    download = partial(_download, request, clients, messages.received_bytes(size_bytes))
    create(own, model_id, size_bytes)
    bar = 0.9 if large else None
    yield _both(context, f"retrieve from memory, {what}", (own, bare), download, times, bar, size_bytes)
    bar = 0.65 if large else None
    yield _both(context, f"retrieve archived, {what}", (copies, bare), download, times, bar, size_bytes)
    yield _both(
        context, f"retrieve archived, no copy in memory, {what}", (archive, bare), download, times, bar, size_bytes
    )


def _upload(sent: Sequence[bytes], clients: int, server: Server, times: int) -> float:
    return _call(server, "CreateVersion", sent, clients, None, times)


def _download(sent: Sequence[bytes], clients: int, received: int, server: Server, times: int) -> float:
    return _call(server, "RetrieveVersionData", sent, clients, received, times)
