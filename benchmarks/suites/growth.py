"""
The same with a hundred versions and with a hundred thousand, and among ten thousand models.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from benchmarks import archives, messages
from benchmarks.case import Fact, Operation
from benchmarks.client.loads import Bystander, repeat
from benchmarks.context import Context
from benchmarks.messages import KIB, path, prefixed
from benchmarks.servers import Server
from benchmarks.suites.push import audience, publish

_FEW_VERSIONS, _MANY_VERSIONS, _MODELS = 100, 100_000, 10_000
_SHORT_MANY, _SHORT_MODELS = 1000, 200
_MOST_READY_SECONDS, _MOST_FIRST_MS = 2.0, 250.0
_LEAST_RATIO = 0.8
_PAGE_LENGTH = 25
_ACTORS = 16
_AGAINST = f"{_FEW_VERSIONS} versions, 1 model"


def run(context: Context) -> Iterator[Operation | Fact]:
    """
    Measure them.
    """
    many, models = (_SHORT_MANY, _SHORT_MODELS) if context.short else (_MANY_VERSIONS, _MODELS)
    archives.lay_out_model(context.directory / "registry-with-few", "few", _FEW_VERSIONS)
    large = context.directory / "registry-with-many"
    archives.lay_out_model(large, "many", many)
    archives.lay_out_models(large, models)
    with (
        context.registry("registry with few") as small,
        context.registry("registry with many") as own,
    ):
        yield Fact(f"ready with {many:,} versions and {models:,} models, s", own.ready_seconds, _MOST_READY_SECONDS)
        yield from _first(own, many)
        sides = (own, "many", many), (small, "few", _FEW_VERSIONS)
        yield from _steady(context, sides, many)
        yield from _published(context, sides, many)


def _first(server: Server, many: int) -> Iterator[Fact]:
    others = Bystander(server.port, path("RetrieveVersionInfos"), prefixed(messages.latest_request("model-000001")))
    first = _ask(server.port, messages.latest_request("many"), 1)
    slowest = max(others.stop())
    yield Fact(f"first '-1' of {many:,} versions after a start, ms", first * 1000, _MOST_FIRST_MS)
    yield Fact("slowest latest info of another model meanwhile, ms", slowest * 1000)


def _ask(port: int, request: bytes, times: int) -> float:
    return repeat(port, path("RetrieveVersionInfos"), messages.unlike(request, times), times)


_Side = tuple[Server, str, int]


def _steady(context: Context, sides: tuple[_Side, _Side], many: int) -> Iterator[Operation]:
    acts: Sequence[tuple[str, Callable[[_Side], Callable[[int], float]], int]] = (
        ("latest info", _latest, 1000),
        ("page in the middle", _page, 300),
        ("retrieve archived, 1 KB", _retrieve, 500),
        ("create transient, 1 KB", partial(_create, archived=False), 300),
        ("create archived, 1 KB", partial(_create, archived=True), 50),
    )
    (own, *_), (small, *_) = sides
    for name, act, times in acts:
        registry, opponent = map(act, sides)
        yield Operation(
            f"{name}, {many:,} versions", registry, opponent, own, small, _AGAINST, context.times(times), _LEAST_RATIO
        )


def _latest(side: _Side) -> Callable[[int], float]:
    server, model_id, _ = side
    return partial(_ask, server.port, messages.latest_request(model_id))


def _page(side: _Side) -> Callable[[int], float]:
    server, model_id, versions = side
    return partial(_ask, server.port, messages.page_request(model_id, versions // 2, _PAGE_LENGTH))


def _retrieve(side: _Side) -> Callable[[int], float]:
    server, model_id, versions = side
    request = prefixed(messages.data_request(model_id, versions // 2))
    return partial(repeat, server.port, path("RetrieveVersionData"), [[request]])


def _create(side: _Side, *, archived: bool) -> Callable[[int], float]:
    server, model_id, _ = side
    return partial(repeat, server.port, path("CreateVersion"), [messages.upload(model_id, KIB, archived=archived)])


def _published(context: Context, sides: tuple[_Side, _Side], many: int) -> Iterator[Operation]:
    (own, *_), (small, *_) = sides
    audiences = [audience(server, model_id, _ACTORS) for server, model_id, _ in sides]
    registry, opponent = (partial(publish, each, side[1], KIB) for each, side in zip(audiences, sides, strict=True))
    name = f"publish 1 KB until {_ACTORS} hold it, {many:,} versions"
    yield Operation(name, registry, opponent, own, small, _AGAINST, context.times(60), _LEAST_RATIO)
    for each in audiences:
        each.close()
