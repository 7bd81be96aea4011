"""
Pushes: a version is published, and notified actors fetch it.
"""

from collections.abc import Iterator
from functools import partial
from statistics import median

from benchmarks import messages, servers
from benchmarks.case import Fact, Operation
from benchmarks.client.connection import cut
from benchmarks.client.loads import Audience
from benchmarks.context import Context
from benchmarks.messages import KIB, MIB, path, prefixed
from benchmarks.servers import Server
from benchmarks.suites.calls import CEILING, create, save

_CASES = {
    (1, 10 * KIB): 100,
    (16, 10 * KIB): 60,
    (300, 10 * KIB): 15,
    (1, 10 * MIB): 15,
    (16, 10 * MIB): 5,
    (300, 10 * MIB): 1,
}
"""How often each is done in a round, by how many actors and how many bytes."""

CACHE_BYTES = 256 * MIB

_NAMES = {10 * KIB: "10 KB", 10 * MIB: "10 MiB"}
_LEAST_RATIO = round(1 / 1.3, 2)


def run(context: Context) -> Iterator[Operation | Fact]:
    """
    Measure them.
    """
    with (
        context.registry("registry that pushes", "--version-cache-max-bytes", str(CACHE_BYTES)) as own,
        servers.ceiling(CEILING, context.directory) as bare,
    ):
        for size_bytes in _NAMES:
            save(own, messages.model_of(size_bytes))
            create(own, messages.model_of(size_bytes), size_bytes, times=context.times(40))  # until the cache is full
        for (actors, size_bytes), times in _CASES.items():
            name = f"publish {_NAMES[size_bytes]} until {actors} hold{'s' if actors == 1 else ''} it"
            yield from published(own, bare, name, actors, size_bytes, context.times(times))


def published(own: Server, bare: Server, name: str, actors: int, size_bytes: int, times: int) -> Iterator[Operation]:
    """
    Measure how long it takes until all actors hold a version that is published.
    """
    model_id = messages.model_of(size_bytes)
    audiences = [audience(server, model_id, actors) for server in (own, bare)]
    bar = _LEAST_RATIO if (actors, size_bytes) == (300, 10 * KIB) else None
    registry, opponent = (partial(publish, each, model_id, size_bytes) for each in audiences)
    yield Operation(name, registry, opponent, own, bare, CEILING, times, bar, size_bytes * actors)
    for each in audiences:
        each.close()


def audience(server: Server, model_id: str, actors: int) -> Audience:
    """
    Return actors that subscribe to a model with a version.
    """
    subscribed = Audience(
        server.port,
        actors,
        (path("VersionUpdate"), prefixed(messages.update_request(model_id))),
        (path("RetrieveVersionData"), prefixed(messages.data_request(model_id))),
    )
    subscribed.subscribe()
    return subscribed


def publish(actors: Audience, model_id: str, size_bytes: int, times: int) -> float:
    """
    Publish versions, each when all hold the one before it.
    """
    body = cut(messages.upload(model_id, size_bytes, archived=False))
    expected = messages.received_bytes(size_bytes)
    # Of a few, one that something else held up counts as much as all others: so it is the median of them.
    return median(actors.publish(path("CreateVersion"), body, expected) for _ in range(times)) * times
