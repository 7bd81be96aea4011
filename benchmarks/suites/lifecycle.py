"""
Acts on existing versions: promotions and moved aliases.
"""

import resource
import threading
import time
from collections.abc import Iterator
from functools import partial
from itertools import count
from statistics import median

from benchmarks import messages
from benchmarks.bare_disk import BareDisk
from benchmarks.case import Fact, Operation
from benchmarks.client.connection import cut
from benchmarks.client.loads import Audience, Caller, repeat
from benchmarks.context import Context
from benchmarks.messages import KIB, MIB, path, prefixed, registry_path
from benchmarks.servers import Server
from benchmarks.suites.calls import create, save

_LARGE_BYTES, _SHORT_LARGE_BYTES = 1024 * MIB, 8 * MIB
_LEAST_DISK_RATIO = 0.9
_LEAST_READ_RATIO = 0.8
_FOLLOWERS, _SHORT_FOLLOWERS = 1000, 20
_LEAST_MOVE_RATIO = 0.5
_SUBSCRIBERS = "a commit to as many subscribers"
_DESCRIPTORS = 4096
_READS = 200


def run(context: Context) -> Iterator[Operation | Fact]:
    """
    Measure them.
    """
    yield from _promoted(context)
    yield from _moved(context)


# Promotions


def _promoted(context: Context) -> Iterator[Operation | Fact]:
    size_bytes = _SHORT_LARGE_BYTES if context.short else _LARGE_BYTES
    with context.registry("registry that promotes", "--version-cache-max-bytes", str(3 * size_bytes)) as server:
        for model_id in ("large", "small"):
            save(server, model_id)
        create(server, "small", KIB)
        disk = BareDisk(context.directory / f"promoted-{context.checkout.commit()}")
        pieces = list(messages.pieces(size_bytes))
        numbers = count(1)

        def promote(times: int) -> float:
            return sum(_promote(server, size_bytes, next(numbers)) for _ in range(times))

        def write(times: int) -> float:
            started = time.perf_counter()
            for _ in range(times):
                disk.create(pieces)
            return time.perf_counter() - started

        name = f"promote {size_bytes // MIB} MiB from memory"
        yield Operation(name, promote, write, server, None, "bare disk", 1, _LEAST_DISK_RATIO, size_bytes)
        yield from _read_meanwhile(server, size_bytes, next(numbers))


def _promote(server: Server, size_bytes: int, number: int) -> float:
    create(server, "large", size_bytes)
    request = prefixed(messages.archive_request("large", number))
    return repeat(server.port, registry_path("ArchiveVersion"), [[request]], 1)


def _read_meanwhile(server: Server, size_bytes: int, number: int) -> Iterator[Fact]:
    create(server, "large", size_bytes)
    caller = Caller(server.port, path("RetrieveVersionData"), prefixed(messages.data_request("small")))
    before = median(caller.call() for _ in range(_READS))
    request = prefixed(messages.archive_request("large", number))
    promotion = threading.Thread(
        target=repeat, args=(server.port, registry_path("ArchiveVersion"), [[request]], 1), daemon=True
    )
    promotion.start()
    meanwhile = []
    while promotion.is_alive():
        meanwhile.append(caller.call())
    promotion.join()
    caller.close()
    most = 1 / _LEAST_READ_RATIO
    yield Fact("read of 1 KB from memory during a promotion, times before", median(meanwhile) / before, most)


# Moved aliases


def _moved(context: Context) -> Iterator[Operation]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(_DESCRIPTORS, hard)), hard))
    followers = _SHORT_FOLLOWERS if context.short else _FOLLOWERS
    with context.registry("registry with aliases", "--max-connections", str(_DESCRIPTORS)) as server:
        for model_id in ("aliased", "published"):
            save(server, model_id)
            create(server, model_id, KIB, archived=True, times=2)
        watching, subscribed = _audiences(server, followers)
        moves = count(1)

        def move(times: int) -> float:
            return sum(watching.publish(*_move(1 + next(moves) % 2), 0) for _ in range(times))

        commit = path("CreateVersion"), cut(messages.upload("published", KIB, archived=False))

        def publish(times: int) -> float:
            return sum(subscribed.publish(*commit, 0) for _ in range(times))

        name = f"move an alias until {followers:,} know"
        yield Operation(name, move, publish, server, server, _SUBSCRIBERS, context.times(10), _LEAST_MOVE_RATIO)
        for audience in (watching, subscribed):
            audience.close()


def _audiences(server: Server, followers: int) -> tuple[Audience, Audience]:
    make = partial(Audience, server.port, followers)
    watching = make((registry_path("WatchEvents"), prefixed(messages.watch_aliases_request("aliased"))))
    subscribed = make((path("VersionUpdate"), prefixed(messages.update_request("published"))))
    for audience in (watching, subscribed):
        audience.subscribe()
    return watching, subscribed


def _move(number: int) -> tuple[str, list[memoryview]]:
    return registry_path("SetAlias"), cut([prefixed(messages.alias_request("aliased", number, "production"))])
