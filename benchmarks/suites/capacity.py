"""
Many actors: a version is published, and all of them fetch it.  The table of capacities is made from these figures.
"""

from collections.abc import Iterator

from benchmarks import messages, servers
from benchmarks.case import Fact, Operation
from benchmarks.context import Context
from benchmarks.messages import KIB, MIB
from benchmarks.suites.calls import CEILING, create, save
from benchmarks.suites.push import CACHE_BYTES, published

ACTORS = (300, 1000)
_SHORT_ACTORS = (5, 10)
SIZES = {10 * KIB: "10 KB", MIB: "1 MiB", 10 * MIB: "10 MiB"}
_ROUND_BYTES = 3 * 1024 * MIB
_MOST_TIMES = 10


def run(context: Context) -> Iterator[Operation | Fact]:
    """
    Measure them.
    """
    with (
        context.registry("registry with many actors", "--version-cache-max-bytes", str(CACHE_BYTES)) as own,
        servers.ceiling(CEILING, context.directory) as bare,
    ):
        for size_bytes, size in SIZES.items():
            save(own, messages.model_of(size_bytes))
            create(own, messages.model_of(size_bytes), size_bytes, times=context.times(40))  # until the cache is full
            for actors in _SHORT_ACTORS if context.short else ACTORS:
                times = max(1, min(_MOST_TIMES, _ROUND_BYTES // (actors * size_bytes)))
                name = f"publish {size} until {actors:,} hold it"
                yield from published(own, bare, name, actors, size_bytes, context.times(times))
