"""
The latency of a client while a stranger floods the registry with wrong tokens.
"""

import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import messages
from benchmarks.case import Fact, Operation
from benchmarks.client.loads import Bystander, repeat
from benchmarks.client.stranger import Stranger, address_of_this_machine
from benchmarks.client.target import Target
from benchmarks.context import Context
from benchmarks.messages import KIB, path, prefixed
from benchmarks.servers import Server
from twisted_registry.access.tokens.file import TokenRecord, editing_tokens
from twisted_registry.access.tokens.token import Token

_MODEL = "m"
_CALL = path("RetrieveVersionInfos")
_SECONDS, _SHORT_SECONDS = 8.0, 0.3
_WINDOWS = {1: "one call at a time", 50: "50 calls at once"}
_LOCAL = "127.0.0.1"
_MOST_TIMES = 2.0


def run(context: Context) -> Iterator[Operation | Fact]:
    """
    Measure it.
    """
    token_file = context.directory / "tokens"
    token = _add_token(token_file)
    # A second address of this machine stands for another machine, whose connections are closed.
    flags = ("--tokens-file", str(token_file), "--interface", "0.0.0.0", "--insecure")
    strangers = {"this machine": _LOCAL, "another machine": address_of_this_machine()}
    with context.registry("registry with strangers", *flags) as server:
        target = Target(server.port, metadata=([("authorization", f"Bearer {token}".encode())],))
        repeat(target, path("CreateOrUpdateModel"), [messages.save_request(_MODEL)], 1)
        repeat(target, path("CreateVersion"), [messages.upload(_MODEL, KIB, archived=False)], 1)
        for where, host in strangers.items():
            if host is not None:
                for window in _WINDOWS:
                    yield from _flooded(context, server, target, where, host, window)


def _add_token(file: Path) -> str:
    token = Token.make()
    with editing_tokens(file) as records:
        records.append(TokenRecord(token.id, "user", token.sha256, "admin", ("*",), int(time.time()), None))
    return token.text


def _flooded(context: Context, server: Server, target: Target, where: str, host: str, window: int) -> Iterator[Fact]:
    seconds = _SHORT_SECONDS if context.short else _SECONDS
    quiet_ms = _p99_ms(target, seconds)
    with Stranger(host, server.port, _CALL, window, tls=False):
        flooded_ms = _p99_ms(target, seconds)
    name = f"a stranger on {where}, {_WINDOWS[window]}"
    bound = _MOST_TIMES if window == 1 else None
    yield Fact(f"p99 of latest info without a stranger, ms (before: {name})", round(quiet_ms, 2))
    yield Fact(f"p99 of latest info with {name}, ms", round(flooded_ms, 2))
    yield Fact(f"p99 with {name}, divided by that without", round(flooded_ms / quiet_ms, 2), bound)


def _p99_ms(target: Target, seconds: float) -> float:
    bystander = Bystander(target, _CALL, prefixed(messages.latest_request(_MODEL)))
    time.sleep(seconds)
    measured = sorted(bystander.stop())
    return measured[len(measured) * 99 // 100] * 1000
