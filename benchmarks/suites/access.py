"""
The cost of TLS, of access control, of the audit log and of the Unix socket.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from random import Random

import trustme
from attrs import frozen

from benchmarks import messages
from benchmarks.case import Fact, Operation
from benchmarks.client.loads import repeat
from benchmarks.client.target import Target, trusting
from benchmarks.context import Context
from benchmarks.messages import KIB, MIB, path, prefixed, registry_path
from benchmarks.servers import Server
from twisted_registry.access.tokens.file import TokenRecord
from twisted_registry.access.tokens.token import Token
from twisted_registry.protocol.messages import v1

_MODEL = "team/model"
_FEW, _MANY_GRANTS, _MANY_TOKENS = 10, 1000, 10_000
_SHORT_MANY = 100
_CALLER = "caller"
_TOKEN_BAR, _SAME_BAR, _AUDIT_BAR = 0.9, 0.97, 0.97
_TIMES, _LARGE_TIMES = 1500, 4
_CACHE_BYTES = 1024 * MIB
"""As in the suite of calls."""

_UNIX_BAR, _LARGE_UNIX_BAR = 0.75, 0.7

TLS, TOKEN, PLAIN = "TLS", "TLS and a token", "plaintext"
UNIX, PORT = "Unix socket", "TCP"


@frozen
class _Side:
    """
    A registry, and the way to call it.
    """

    server: Server
    target: Target

    def ask(self, method: str, request: bytes, times: int) -> float:
        """
        Make a small call.
        """
        return repeat(self.target, method, [[prefixed(request)]], times)

    def create(self, size_bytes: int, times: int, *, archived: bool = False) -> float:
        """
        Create versions.
        """
        sent = messages.upload(_MODEL, size_bytes, archived=archived)
        return repeat(self.target, path("CreateVersion"), [sent], times)

    def retrieve(self, size_bytes: int, times: int) -> float:
        """
        Retrieve the latest version.
        """
        sent = [prefixed(messages.data_request(_MODEL))]
        received = messages.received_bytes(size_bytes)
        return repeat(self.target, path("RetrieveVersionData"), [sent], times, expected_bytes=received)

    def prepare(self) -> "_Side":
        """
        Make the model with a small version.
        """
        repeat(self.target, path("CreateOrUpdateModel"), [messages.save_request(_MODEL)], 1)
        self.create(KIB, 1)
        return self


@frozen
class _Access:
    """
    The files of access control.

    Attributes:
        directory: where they are.
        authority: signs the certificate.
    """

    directory: Path
    authority: trustme.CA

    @classmethod
    def make(cls, directory: Path) -> "_Access":
        """
        Write the certificate.
        """
        access = cls(directory, trustme.CA())
        leaf = access.authority.issue_cert("localhost")
        (directory / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        (directory / "key.pem").write_bytes(leaf.private_key_pem.bytes())
        return access

    def tls(self) -> Sequence[str]:
        """
        Return the flags for TLS.
        """
        return "--tls-certificate", str(self.directory / "cert.pem"), "--tls-key", str(self.directory / "key.pem")

    def control(self, name: str, grants: int, tokens: int) -> tuple[Sequence[str], Sequence[str]]:
        """
        Write a policy and a file of tokens.

        Returns:
            the flags, and the tokens of callers that may publish; the first has grants in the policy, too.
        """
        made = [Token.make() for _ in range(tokens)]
        names = [_CALLER, *(f"user-{number}" for number in range(1, tokens))]
        lines = [_record(token, name).to_json() + "\n" for token, name in zip(made, names, strict=True)]
        Random(1).shuffle(lines)
        token_file, policy_file = self.directory / f"{name}.tokens", self.directory / f"{name}.toml"
        with open(os.open(token_file, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.writelines(lines)
        policy_file.write_text("".join(_grant(number) for number in range(grants)))
        flags = ("--tokens-file", str(token_file), "--policy-file", str(policy_file))
        return [*self.tls(), *flags], [token.text for token in made]

    def target(self, server: Server, *tokens: str) -> Target:
        """
        Return the way to a registry with TLS.
        """
        metadata = [[("authorization", f"Bearer {token}".encode())] for token in tokens]
        return Target(server.port, trusting(self.authority.cert_pem.bytes().decode()), metadata or ((),))


def _record(token: Token, name: str) -> TokenRecord:
    return TokenRecord(token.id, name, token.sha256, "maintainer", ("team/*",), int(time.time()), None)


def _grant(number: int) -> str:
    # Half of them are the caller's, on prefixes of many lengths.
    to = _CALLER if number % 2 else f"user-{number}"
    return f'[[grants]]\nto = "token:{to}"\nrole = "maintainer"\nmodels = "other-{number}{"x" * (number % 50)}/*"\n'


def run(context: Context) -> Iterator[Operation | Fact]:
    """
    Measure them.
    """
    grants, tokens = (_SHORT_MANY, _SHORT_MANY) if context.short else (_MANY_GRANTS, _MANY_TOKENS)
    access = _Access.make(context.directory)
    with ExitStack() as stack:

        def start(name: str, *flags: str) -> Server:
            return stack.enter_context(context.registry(name, "--version-cache-max-bytes", str(_CACHE_BYTES), *flags))

        plain = start("registry in plaintext")
        tls = start("registry with TLS", *access.tls())
        few_flags, few_tokens = access.control("few", _FEW, _FEW)
        many_flags, many_tokens = access.control("many", grants, tokens)
        few, many = start("registry with few tokens", *few_flags), start("registry with many tokens", *many_flags)
        audit = start("registry with an audit log", *few_flags, "--audit-file", str(context.directory / "audit.log"))
        bare, encrypted = _Side(plain, Target(plain.port)).prepare(), _Side(tls, access.target(tls)).prepare()
        ten = _Side(few, access.target(few, few_tokens[0])).prepare()
        thousand = _Side(many, access.target(many, many_tokens[0])).prepare()
        yield from _with_token(context, ten, encrypted)
        yield from _with_many(context, thousand, ten, f"{grants:,} grants and {tokens:,} tokens")
        in_turn = [_Side(many, access.target(many, *many_tokens)), _Side(few, access.target(few, *few_tokens))]
        yield _latest(context, f"latest info, {tokens:,} callers in turn", in_turn, f"{_FEW} callers", _SAME_BAR)
        audited = _Side(audit, access.target(audit, few_tokens[0])).prepare()
        yield from _audited(context, audited, ten)
        yield from _encrypted(context, encrypted, bare)
        unix_path = str(context.directory / "r.sock")
        both = start("registry with a Unix socket", "--socket", unix_path)
        port = _Side(both, Target(both.port)).prepare()
        yield from _relayed(context, _Side(both, Target(both.port, unix_path=unix_path)), port)


def _operation(
    context: Context,
    name: str,
    sides: Sequence[_Side],
    against: str,
    act: Callable[[_Side, int], float],
    times: int = _TIMES,
    bar: float | None = None,
    size_bytes: int = 0,
) -> Operation:
    own, other = sides
    acts = partial(act, own), partial(act, other)
    return Operation(name, *acts, own.server, other.server, against, context.times(times), bar, size_bytes)


def _latest(context: Context, name: str, sides: Sequence[_Side], against: str, bar: float | None) -> Operation:
    def act(side: _Side, times: int) -> float:
        return side.ask(path("RetrieveVersionInfos"), messages.latest_request(_MODEL), times)

    return _operation(context, name, sides, against, act, bar=bar)


def _latest_of_v1(context: Context, name: str, sides: Sequence[_Side], against: str, bar: float | None) -> Operation:
    request = v1.GetVersionRequest(reference=_MODEL).SerializeToString()

    def act(side: _Side, times: int) -> float:
        return side.ask(registry_path("GetVersion"), request, times)

    return _operation(context, name, sides, against, act, bar=bar)


def _with_token(context: Context, token: _Side, tls: _Side) -> Iterator[Operation]:
    sides = token, tls
    yield _latest(context, f"latest info, {TOKEN}", sides, TLS, _TOKEN_BAR)
    yield _latest_of_v1(context, f"GetVersion of the latest, {TOKEN}", sides, TLS, _TOKEN_BAR)
    yield _operation(
        context, f"create transient, 1 KB, {TOKEN}", sides, TLS, lambda side, times: side.create(KIB, times), 500
    )


def _with_many(context: Context, many: _Side, few: _Side, name: str) -> Iterator[Operation]:
    yield _latest(context, f"latest info, {name}", (many, few), f"{_FEW} of each", _SAME_BAR)
    yield _operation(
        context,
        f"create transient, 1 KB, {name}",
        (many, few),
        f"{_FEW} of each",
        lambda side, times: side.create(KIB, times),
        500,
        _SAME_BAR,
    )


def _audited(context: Context, audited: _Side, other: _Side) -> Iterator[Operation]:
    for name, archived, times in (("transient", False, 500), ("archived", True, 100)):
        yield _operation(
            context,
            f"create {name}, 1 KB, audit log",
            (audited, other),
            "without",
            lambda side, times, archived=archived: side.create(KIB, times, archived=archived),  # type: ignore[misc]
            times,
            None if archived else _AUDIT_BAR,  # one more sync
        )


def _encrypted(context: Context, tls: _Side, plain: _Side) -> Iterator[Operation]:
    sides = tls, plain
    yield _latest(context, f"latest info, {TLS}", sides, PLAIN, None)
    for side in sides:
        side.create(100 * MIB, 1)
    yield from _large(context, sides, TLS, PLAIN, None)


def _relayed(context: Context, unix: _Side, port: _Side) -> Iterator[Operation]:
    sides = unix, port
    yield _latest(context, f"latest info, {UNIX}", sides, PORT, _UNIX_BAR)
    port.create(100 * MIB, 1)
    yield from _large(context, sides, UNIX, PORT, _LARGE_UNIX_BAR)


def _large(context: Context, sides: Sequence[_Side], own: str, other: str, bar: float | None) -> Iterator[Operation]:
    size_bytes = 100 * MIB
    for name, act in (("retrieve from memory", _Side.retrieve), ("create transient", _Side.create)):
        yield _operation(
            context,
            f"{name}, 100 MiB, {own}",
            sides,
            other,
            lambda side, times, act=act: act(side, size_bytes, times),  # type: ignore[misc]
            _LARGE_TIMES,
            bar,
            size_bytes,
        )
