"""
Calls with fuzzed credentials, as bare bytes on the wire.
"""

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from string import ascii_letters, digits

from attrs import define, field

from tests.robustness.case import Case, Outcome, Trial
from tests.robustness.wire.raw_calls import RawConnection
from tests.support.daemon import Daemon
from twisted_registry.access.tokens.file import TokenRecord, editing_tokens
from twisted_registry.access.tokens.token import Token
from twisted_registry.protocol.messages import api, common, v1

_KEY = "authorization"
_OK, _NOT_FOUND, _EXHAUSTED, _UNAVAILABLE, _UNAUTHENTICATED = 0, 5, 8, 14, 16
_REFUSED = (_EXHAUSTED, _UNAVAILABLE, _UNAUTHENTICATED)
"""Too long, throttled, or wrong."""
_ROUND = 500
_SIGNS_OF_A_BUG = ("Traceback", "incident")

_CALLS: Mapping[str, bytes] = {
    "/cogmentAPI.ModelRegistrySP/Version": common.VersionRequest().SerializeToString(),
    "/cogmentAPI.ModelRegistrySP/RetrieveVersionInfos": api.RetrieveVersionInfosRequest(
        model_id="m"
    ).SerializeToString(),
    "/cogmentAPI.ModelRegistrySP/VersionUpdate": api.VersionUpdateRequest(model_id="m").SerializeToString(),
    "/twisted_registry.v1.Registry/GetModel": v1.GetModelRequest(model_id="m").SerializeToString(),
    "/twisted_registry.v1.Registry/DeleteModel": v1.DeleteModelRequest(model_id="m").SerializeToString(),
}
"""Calls with a request.  Those with the right token end, because there is no model."""

Metadata = Sequence[tuple[str, bytes]]

_SCHEMES = (b"bearer", b"BEARER", b"bEaReR", b"Basic", b"Bearer:", b"Token", b"\xc2\xa0Bearer", b"Bearer Bearer")

_CHANGES: Sequence[Callable[[random.Random, bytes], bytes]] = (
    lambda chance, right: chance.randbytes(chance.randrange(200)),
    lambda chance, right: b"Bearer " + chance.randbytes(chance.randrange(200)),
    lambda chance, right: right[: chance.randrange(len(right))],
    lambda chance, right: right[chance.randrange(1, len(right)) :],
    lambda chance, right: right + chance.choice([b"\0", b"\n", b",", b", " + right, b"; x", b"\xff", "é".encode()]),
    lambda chance, right: right.replace(b"Bearer", chance.choice(_SCHEMES), 1),
    lambda chance, right: right.replace(b" ", chance.choice([b"", b"  ", b"\t", b"\n", b"=", b":"]), 1),
    lambda chance, right: right[:7] + b" " * chance.randrange(4) + right[7:] + b" " * chance.randrange(4),
    lambda chance, right: right.swapcase(),
    lambda chance, right: b"Bearer " + right[7:].swapcase(),
    lambda chance, right: b"Bearer " + b"x" * chance.choice([16_383, 16_384, 16_385, 65_536]),
    lambda chance, right: _with_other_character(chance, right, chance.randrange(len(right))),
    lambda chance, right: right,
)
"""Changes of the right value."""


def _with_other_character(chance: random.Random, value: bytes, position: int) -> bytes:
    others = (ascii_letters + digits).encode().replace(value[position : position + 1], b"")
    return value[:position] + bytes([chance.choice(others)]) + value[position + 1 :]


@define
class Stranger:
    """
    A client that tries credentials.

    Attributes:
        statuses: how the calls ended.
    """

    port: int
    token: Token
    chance: random.Random
    statuses: Counter[str] = field(factory=Counter)
    wrong: list[str] = field(factory=list)
    _connection: RawConnection | None = None

    @property
    def right(self) -> bytes:
        """
        The value that is accepted.
        """
        return b"Bearer " + self.token.text.encode()

    def values(self) -> Iterator[Metadata]:
        """
        Yield metadata: first every part of the right value, and each of its characters changed, then by chance.
        """
        right = self.right
        for length in range(len(right) + 1):
            yield [(_KEY, right[:length])]
        for position in range(len(right)):
            yield [(_KEY, _with_other_character(self.chance, right, position))]
        while True:
            yield self._by_chance()

    def _by_chance(self) -> Metadata:
        change = self.chance.choice(_CHANGES)
        headers = [(_KEY, change(self.chance, self.right))]
        if self.chance.random() < 0.1:
            headers.append((_KEY, self.chance.choice([self.right, b"", headers[0][1]])))
        if self.chance.random() < 0.1:
            headers.append((self.chance.choice(["x-request-id", "x-token"]), self.chance.randbytes(20)))
        self.chance.shuffle(headers)
        return headers

    def is_right(self, metadata: Metadata) -> bool:
        """
        Return whether metadata must be accepted.
        """
        values = [value for key, value in metadata if key == _KEY]
        pattern = rb"(?i:bearer) +" + re.escape(self.token.text.encode()) + rb" *"
        return len(values) == 1 and re.fullmatch(pattern, values[0]) is not None

    def call(self, metadata: Metadata) -> None:
        """
        Make a call, and judge its status.
        """
        if self._connection is None or self._connection.is_worn_out:
            self.leave()
            self._connection = RawConnection(self.port)
        path = self.chance.choice([*_CALLS])
        status = self._connection.call(path, metadata, _CALLS[path])
        if status is None:
            self.leave()
        self.statuses[str(status)] += 1
        # Metadata of other keys may be refused by gRPC itself.
        accepted = (_OK, _NOT_FOUND) if self.is_right(metadata) else _REFUSED
        is_unusual = any(key != _KEY for key, _ in metadata)
        if status not in accepted and not (is_unusual and status in (None, *_REFUSED)):
            shown = [(key, value[:200]) for key, value in metadata]
            self.wrong.append(f"{path} with {shown}: status {status}")

    def leave(self) -> None:
        """
        Disconnect.
        """
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def run(trial: Trial) -> Outcome:
    """
    Try them all, one after the other.
    """
    token = Token.make()
    with editing_tokens(trial.directory / "tokens") as records:
        records.append(TokenRecord(token.id, "ann", token.sha256, "admin", ("*",), 0, None))
    flags = ["--archive-dir", str(trial.directory / "archive"), "--tokens-file", str(trial.directory / "tokens")]
    daemon = Daemon(trial.directory, flags).start()
    stranger = Stranger(daemon.port, token, random.Random(trial.seed))
    done = 0
    try:
        for metadata in chain([[(_KEY, stranger.right)]], stranger.values()):
            stranger.call(metadata)
            done += 1
            if done % _ROUND == 0:
                trial.progress(min(done, trial.count))
            if trial.is_over(done):
                break
    finally:
        stranger.leave()
        status = daemon.stop()
    wrong = [*stranger.wrong, *_problems(daemon, status, token)]
    return Outcome(done, wrong, {f"status {status}": count for status, count in sorted(stranger.statuses.items())})


def _problems(daemon: Daemon, status: int, token: Token) -> Sequence[str]:
    """
    Return what is wrong with the daemon's end and with its log.
    """
    problems = [] if status == 0 else [f"the daemon stopped with {status}"]
    problems += [line for line in daemon.lines if any(sign in line for sign in _SIGNS_OF_A_BUG)]
    return [*problems, *(["the log has the token"] if token.secret[:10] in daemon.log else [])]


CASE = Case(
    name="credentials",
    counts="calls with fuzzed credentials",
    promise="Whatever bytes come as credentials, only the token itself is accepted, and no log line has it.",
    short=600,
    long=20_000,
    run=run,
)
