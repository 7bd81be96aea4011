"""
A tenant at its usual work, while another one with a quota calls as fast as it can.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack

from attrs import frozen

from benchmarks import messages, neighbours
from benchmarks.case import Fact, Operation
from benchmarks.client.loads import repeat
from benchmarks.client.target import Target
from benchmarks.context import Context
from benchmarks.messages import MIB, path, prefixed
from benchmarks.neighbours import Neighbour
from benchmarks.servers import Server
from twisted_registry.access.tokens.file import TokenRecord
from twisted_registry.access.tokens.token import Token

_QUIET, _NOISY = "quiet/model", "noisy/model"
_PROCESSES = 2
_CALLS_PER_SECOND, _BYTES_PER_SECOND = 50, 10 * MIB
_BAR = 0.9
_TIMES: Mapping[str, int] = {neighbours.CALLS: 3000, neighbours.UPLOADS: 2000, neighbours.DOWNLOADS: 2000}

_POLICY = f"""
[[quotas]]
name = "noisy"
to = "token:noisy"
calls_per_second = {_CALLS_PER_SECOND}
bytes_per_second = {_BYTES_PER_SECOND}
"""


@frozen
class _Tenants:
    """
    The registry of two tenants.

    Attributes:
        noisy_token: that of the one that is loud.
    """

    server: Server
    quiet: Target
    noisy_token: str

    def work(self, name: str) -> Callable[[int], float]:
        """
        Return what the quiet tenant does.
        """
        if name == "latest info":
            return lambda times: repeat(
                self.quiet, path("RetrieveVersionInfos"), [[prefixed(messages.latest_request(_QUIET))]], times
            )
        if name == "create 1 MiB":
            sent = messages.upload(_QUIET, MIB, archived=False)
            return lambda times: repeat(self.quiet, path("CreateVersion"), [sent], times)
        request = [prefixed(messages.data_request(_QUIET))]
        return lambda times: repeat(self.quiet, path("RetrieveVersionData"), [request], times)


def run(context: Context) -> Iterator[Operation | Fact]:
    """
    Measure it.
    """
    flags, tokens = _files(context)
    with ExitStack() as stack:
        server = stack.enter_context(
            context.registry("registry of two tenants", *flags, "--version-cache-max-bytes", str(512 * MIB))
        )
        quiet, admin = (_target(server, token) for token in (tokens[0], tokens[2]))
        tenants = _Tenants(server, quiet, tokens[1])
        for model_id, size_bytes in ((_QUIET, MIB), (_NOISY, neighbours.SIZE_BYTES)):
            repeat(admin, path("CreateOrUpdateModel"), [messages.save_request(model_id)], 1)
            repeat(admin, path("CreateVersion"), [messages.upload(model_id, size_bytes, archived=False)], 1)
        for kind in (neighbours.CALLS, neighbours.UPLOADS, neighbours.DOWNLOADS):
            yield from _beside(context, stack, tenants, kind)


def _target(server: Server, token: str) -> Target:
    return Target(server.port, None, [[("authorization", f"Bearer {token}".encode())]])


def _files(context: Context) -> tuple[Sequence[str], Sequence[str]]:
    """
    Write the policy and the tokens.

    Returns:
        the flags, and the tokens of the two tenants and of an admin.
    """
    token_file, policy_file = context.directory / "tenants.tokens", context.directory / "tenants.toml"
    policy_file.write_text(_POLICY)
    made = []
    with open(os.open(token_file, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        for name, role, models in (
            ("quiet", "publisher", "quiet/*"),
            ("noisy", "publisher", "noisy/*"),
            ("root", "admin", "*"),
        ):
            token = Token.make()
            made.append(token.text)
            file.write(
                TokenRecord(token.id, name, token.sha256, role, (models,), int(time.time()), None).to_json() + "\n"
            )
    return ["--tokens-file", str(token_file), "--policy-file", str(policy_file)], made


def _beside(context: Context, stack: ExitStack, tenants: _Tenants, kind: str) -> Iterator[Operation | Fact]:
    loud = [
        stack.enter_context(neighbours.neighbour(kind, tenants.server, tenants.noisy_token, _NOISY))
        for _ in range(_PROCESSES)
    ]
    counts = [0, 0]
    for name in ("latest info", "create 1 MiB", "retrieve 1 MiB"):
        work = tenants.work(name)
        times = context.times(_TIMES[kind] if name == "latest info" else _TIMES[kind] // 10)
        yield Operation(
            f"{name} beside another tenant's {kind}",
            lambda count, work=work: _disturbed(loud, counts, work, count),  # type: ignore[misc]
            work,
            tenants.server,
            tenants.server,
            "alone",
            times,
            _BAR,
        )
    yield Fact(f"{kind} of the other tenant that were refused, per permitted one", counts[1] / max(1, counts[0]))


def _disturbed(loud: Sequence[Neighbour], counts: list[int], work: Callable[[int], float], times: int) -> float:
    for each in loud:
        each.start()
    time.sleep(1.0)  # what a quota permits at once has passed
    seconds = work(times)
    for each in loud:
        permitted, refused = each.stop()
        counts[0] += permitted
        counts[1] += refused
    return seconds
