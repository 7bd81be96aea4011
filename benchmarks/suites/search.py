"""
Searches among a hundred thousand versions, and what they cost others.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from random import Random
from statistics import median
from threading import Thread
from time import sleep

from benchmarks import archives, messages
from benchmarks.case import Fact, Operation
from benchmarks.client.loads import Bystander, repeat
from benchmarks.context import Context
from benchmarks.messages import path, prefixed, registry_path
from benchmarks.servers import Server
from twisted_registry.domain.annotations import Annotations

_VERSIONS, _SHORT_VERSIONS = 100_000, 1000
_MODEL = "many"
_OTHER = "model-000000"
_AGAINST = "latest info"
_LEAST_RATIO = 1 / 50
_MOST_TIMES_SLOWER = 2.0
_MOST_TIMES_SLOWER_AT_WORST = 3.0
_WORST_PART = 0.99

_LONG_FILTERS = (
    ("filter of 100 metrics", " OR ".join(f"metrics.return = {number}.5" for number in range(100))),
    ("filter of 100 numbers", " OR ".join(f"number = {1_000_000 + number}" for number in range(100))),
)
"""Two searches with one of them take some ten seconds."""

_SECONDS = 4.0

_SEARCHES = (
    ("best 1 by a metric", "", "metrics.return desc", 1, _LEAST_RATIO),
    ("best 10 by a metric, filtered", "archived AND metrics.loss < 0.5", "metrics.return desc", 10, _LEAST_RATIO),
    ("page of 100 by a metric", "", "metrics.return desc", 100, _LEAST_RATIO),
    ("range of a metric, 100 of 1,000", "metrics.return > 990", "metrics.return", 100, _LEAST_RATIO),
    ("by label, then by a metric, 10", "", "labels.env, metrics.return desc", 10, _LEAST_RATIO),
    ("filter that 10 match, by number", "metrics.return > 999.9", "", 100, None),
)
"""Each a name, a filter, an order, the length of the page, and the lowest acceptable ratio."""


def run(context: Context) -> Iterator[Operation | Fact]:
    """
    Measure them.
    """
    versions = _SHORT_VERSIONS if context.short else _VERSIONS
    archive = context.directory / "registry"
    archives.lay_out_model(archive, _MODEL, versions)
    archives.lay_out_annotations(archive, _MODEL, versions, _annotations)
    archives.lay_out_models(archive, 1)
    with context.registry("registry") as own:
        before = _alone(context, own)
        yield from _first(own, versions, before)
        yield from _long(context, own, before)
        yield from _changes(context, own, versions)
        latest = partial(_ask, own, path("RetrieveVersionInfos"), messages.latest_request(_MODEL))
        for name, filter_text, order, length, bar in _SEARCHES:
            request = messages.search_request(_MODEL, filter_text, order, length)
            search = partial(_ask, own, registry_path("ListVersions"), request)
            title = f"{name}, {versions:,} versions"
            yield Operation(title, search, latest, own, own, _AGAINST, context.times(100 if bar else 10), bar)


def _annotations(number: int) -> Annotations:
    random = Random(number)
    return Annotations({"env": f"env-{number % 5}"}, {"return": random.uniform(0, 1000), "loss": random.random()})


def _ask(server: Server, method: str, request: bytes, times: int) -> float:
    return repeat(server.port, method, messages.unlike(request, times), times)


def _bystander(server: Server) -> Bystander:
    return Bystander(server.port, path("RetrieveVersionInfos"), prefixed(messages.latest_request(_OTHER)))


def _alone(context: Context, server: Server) -> list[float]:
    alone = _bystander(server)
    sleep(_seconds(context))
    return alone.stop()


def _seconds(context: Context) -> float:
    return 0.1 if context.short else _SECONDS


def _worst(seconds: Sequence[float]) -> float:
    return sorted(seconds)[int(_WORST_PART * len(seconds))]


def _slower(before: Sequence[float], during: Sequence[float], what: str) -> Iterator[Fact]:
    slower = median(during) / median(before)
    yield Fact(
        f"latest info of another model meanwhile, median, times that of before ({what})", slower, _MOST_TIMES_SLOWER
    )
    slower = _worst(during) / _worst(before)
    yield Fact(f"the same, slowest 1 % ({what})", slower, _MOST_TIMES_SLOWER_AT_WORST)


def _long(context: Context, server: Server, before: Sequence[float]) -> Iterator[Fact]:
    for name, filter_text in _LONG_FILTERS:
        request = messages.search_request(_MODEL, filter_text, "", 1)
        searching = [Thread(target=partial(_ask, server, registry_path("ListVersions"), request, 1)) for _ in range(2)]
        for search in searching:
            search.start()
        others = _bystander(server)
        sleep(_seconds(context))
        yield from _slower(before, others.stop(), name)
        for search in searching:
            search.join()


def _first(server: Server, versions: int, before: Sequence[float]) -> Iterator[Fact]:
    yield Fact("latest info of another model before, slowest, ms", max(before) * 1000)
    for name, order in (("search", "number"), ("order by a metric", "metrics.return desc")):
        request = messages.search_request(_MODEL, "size_bytes > 0", order, 1)
        others = _bystander(server)
        seconds = _ask(server, registry_path("ListVersions"), request, 1)
        during = others.stop()
        yield Fact(f"first {name} of {versions:,} versions, s", seconds)
        yield Fact(f"latest info of another model meanwhile, slowest, ms (first {name})", max(during) * 1000)
        yield from _slower(before, during, f"first {name}")
    yield Fact(f"memory with the index of {versions:,} versions, MB", server.memory_bytes() / 1e6)


def _changes(context: Context, server: Server, versions: int) -> Iterator[Operation]:
    create = messages.upload(_MODEL, messages.KIB, archived=False)
    other = messages.upload(_OTHER, messages.KIB, archived=False)
    yield Operation(
        f"create transient, 1 KB, indexed model of {versions:,} versions",
        partial(repeat, server.port, path("CreateVersion"), [create]),
        partial(repeat, server.port, path("CreateVersion"), [other]),
        server,
        server,
        "model without an index",
        context.times(300),
        0.95,
    )
