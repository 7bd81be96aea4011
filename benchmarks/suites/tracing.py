"""
The cost of traces, if one call in a hundred is recorded, as it usually is, and if all are.
"""

from collections.abc import Callable, Iterator
from functools import partial

from benchmarks import messages
from benchmarks.case import Fact, Operation
from benchmarks.client.loads import repeat
from benchmarks.context import Context
from benchmarks.messages import KIB, MIB, path, prefixed
from benchmarks.servers import Server
from benchmarks.suites.calls import create, save
from tests.support.collector import Collector

_MODEL = "traced"
_WITHOUT = "without traces"


def run(context: Context) -> Iterator[Operation | Fact]:
    """
    Measure it.
    """
    flags = "--version-cache-max-bytes", str(256 * MIB)
    collector = Collector()
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "OTEL_TRACES_SAMPLER": "traceidratio"}
    few, all_calls = ({**variables, "OTEL_TRACES_SAMPLER_ARG": each} for each in ("0.01", "1"))
    with (
        context.registry("registry with few traces", "--traces", *flags, variables=few) as sampled,
        context.registry("registry with traces", "--traces", *flags, variables=all_calls) as traced,
        context.registry("registry without traces", *flags) as other,
    ):
        for server in (sampled, traced, other):
            save(server, _MODEL)
            create(server, _MODEL, KIB, times=1)
        for name, own in (("1 % recorded", sampled), ("all recorded", traced)):
            yield _operation(context, f"latest info, {name}", (own, other), _latest, 3000)
        for server in (sampled, traced, other):
            create(server, _MODEL, 10 * MIB, times=1)
        for name, own in (("1 % recorded", sampled), ("all recorded", traced)):
            yield _operation(context, f"retrieve 10 MiB, {name}", (own, other), _retrieve, 60, 10 * MIB)
    collector.close()


def _operation(
    context: Context,
    name: str,
    sides: tuple[Server, Server],
    act: Callable[[Server, int], float],
    times: int,
    size_bytes: int = 0,
) -> Operation:
    acts = partial(act, sides[0]), partial(act, sides[1])
    return Operation(name, *acts, *sides, _WITHOUT, context.times(times), None, size_bytes)


def _latest(server: Server, times: int) -> float:
    return repeat(server.port, path("RetrieveVersionInfos"), [[prefixed(messages.latest_request(_MODEL))]], times)


def _retrieve(server: Server, times: int) -> float:
    sent, received = [prefixed(messages.data_request(_MODEL))], messages.received_bytes(10 * MIB)
    return repeat(server.port, path("RetrieveVersionData"), [sent], times, expected_bytes=received)
