"""
The cost of what shows the registry: metrics, access log and HTTP on calls, each scrape, and open pages.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from statistics import median

from benchmarks import messages
from benchmarks.archives import lay_out_models
from benchmarks.case import Fact, Operation
from benchmarks.client.event_streams import EventStreams
from benchmarks.client.loads import repeat
from benchmarks.context import Context
from benchmarks.messages import KIB, MIB, path, prefixed
from benchmarks.servers import Server
from benchmarks.suites.calls import create, save
from benchmarks.suites.push import audience, publish
from tests.support.daemon import free_port

_MODEL = "observed"
_WITHOUT = "the same with all off"
_ACCESS_LOG = "1/100"
_ON = f"with metrics, HTTP and {_ACCESS_LOG} of calls logged"
_LATEST_BAR, _RETRIEVE_BAR = 0.97, 0.98
_ACTORS = 100

_MODELS, _SUBSCRIBERS, _SCRAPES = 10_000, 1000, 100
_SHORT_MODELS, _SHORT_SUBSCRIBERS = 20, 3
_REACTOR_MS = 5.0

_PAGES, _PAGE_SECONDS = 100, 20
_PAGES_PERCENT = 5.0


def run(context: Context) -> Iterator[Operation | Fact]:
    """
    Measure it.
    """
    flags = "--version-cache-max-bytes", str(256 * MIB)
    with (
        context.registry("observed registry", *_observed(free_port()), *flags) as own,
        context.registry("registry with all off", *flags) as other,
    ):
        for server in (own, other):
            save(server, _MODEL)
            create(server, _MODEL, KIB, times=1)
        yield _operation(context, f"latest info, {_ON}", (own, other), _latest, 3000, _LATEST_BAR)
        yield from _pushed(context, (own, other))
        for server in (own, other):
            create(server, _MODEL, 10 * MIB, times=1)
        yield _operation(context, f"retrieve 10 MiB, {_ON}", (own, other), _retrieve, 60, _RETRIEVE_BAR, 10 * MIB)
    yield from _scrapes(context)
    yield from _open_pages(context)


def _observed(port: int) -> tuple[str, ...]:
    return "--http-port", str(port), "--access-log", _ACCESS_LOG


def _operation(
    context: Context,
    name: str,
    sides: tuple[Server, Server],
    act: Callable[[Server, int], float],
    times: int,
    bar: float | None,
    size_bytes: int = 0,
) -> Operation:
    acts = partial(act, sides[0]), partial(act, sides[1])
    return Operation(name, *acts, *sides, _WITHOUT, context.times(times), bar, size_bytes)


def _latest(server: Server, times: int) -> float:
    return repeat(server.port, path("RetrieveVersionInfos"), [[prefixed(messages.latest_request(_MODEL))]], times)


def _retrieve(server: Server, times: int) -> float:
    sent, received = [prefixed(messages.data_request(_MODEL))], messages.received_bytes(10 * MIB)
    return repeat(server.port, path("RetrieveVersionData"), [sent], times, expected_bytes=received)


def _pushed(context: Context, sides: tuple[Server, Server]) -> Iterator[Operation]:
    actors = context.times(_ACTORS)
    audiences = [audience(server, _MODEL, actors) for server in sides]
    acts = [partial(publish, each, _MODEL, KIB) for each in audiences]
    name = f"publish 1 KB until {actors} hold it, {_ON}"
    yield Operation(name, acts[0], acts[1], *sides, _WITHOUT, context.times(20))
    for each in audiences:
        each.close()


def _scrapes(context: Context) -> Iterator[Fact]:
    """
    Measure scrapes of a registry with many models and subscribers.
    """
    models, subscribers = (_SHORT_MODELS, _SHORT_SUBSCRIBERS) if context.short else (_MODELS, _SUBSCRIBERS)
    name, port = "registry that is scraped", free_port()
    lay_out_models(context.directory / name.replace(" ", "-"), models)
    with context.registry(name, "--http-port", str(port)) as server:
        save(server, _MODEL)
        create(server, _MODEL, KIB, times=1)
        actors = audience(server, _MODEL, subscribers)
        scrape(port)
        before, waits = reactor_seconds(server), [scrape(port) for _ in range(context.times(_SCRAPES))]
        busy_ms = (reactor_seconds(server) - before) / len(waits) * 1000
        many = f"{models:,} models, {subscribers:,} subscribers"
        yield Fact(f"reactor's time for a scrape, {many}, ms", round(busy_ms, 2), _REACTOR_MS)
        yield Fact(f"time of a scrape, {many}, ms", round(median(waits) * 1000, 1))
        actors.close()


def _open_pages(context: Context) -> Iterator[Fact]:
    """
    Measure the registry while many pages are open, and a version a second is published.
    """
    port, seconds = free_port(), context.times(_PAGE_SECONDS)
    with context.registry("registry with open pages", *_observed(port)) as server:
        save(server, _MODEL)
        streams = EventStreams(port, context.times(_PAGES))
        streams.read(1)
        before, began = server.cpu_seconds(), time.monotonic()
        for _ in range(seconds):
            create(server, _MODEL, KIB, times=1)
            streams.read(1)
        percent = (server.cpu_seconds() - before) / (time.monotonic() - began) * 100
        assert streams.versions == seconds * context.times(_PAGES), f"{streams.versions} versions were seen"
        streams.close()
        name = f"{context.times(_PAGES)} open pages, a version a second, % of a core"
        yield Fact(name, round(percent, 1), _PAGES_PERCENT)


def scrape(port: int) -> float:
    """
    Scrape once, and return the seconds that it took.
    """
    began = time.monotonic()
    connection = HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/metrics", headers={"Accept": "application/openmetrics-text"})
    reply = connection.getresponse()
    assert reply.status == 200 and reply.read().endswith(b"# EOF\n")
    connection.close()
    return time.monotonic() - began


def reactor_seconds(server: Server) -> float:
    """
    Return the processor time of the server's reactor so far: it runs in the main thread.
    """
    spent_ns = Path(f"/proc/{server.pid}/task/{server.pid}/schedstat").read_text().split()[0]
    return int(spent_ns) / 1e9
