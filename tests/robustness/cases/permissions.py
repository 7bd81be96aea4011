"""
Decisions about permissions, compared with naive ones.
"""

import json
import random
from collections.abc import Sequence

from attrs import frozen

from tests.robustness.case import Case, Outcome, Trial
from tests.robustness.fuzzers.policies import is_permitted_as_written
from tests.robustness.oracles.grants import BUILT_IN, Written, permits, permits_all, written_in
from twisted_registry.access.callers import Callers
from twisted_registry.access.policy.file import parse_policy
from twisted_registry.access.policy.policy import Policy
from twisted_registry.access.tokens.authenticator import OwnTokens
from twisted_registry.access.tokens.file import TokenRecord, parse_tokens
from twisted_registry.access.tokens.token import Token
from twisted_registry.domain.access import GRANTABLE, Action, Caller, Credentials, Need, Scope

_NOW_SECONDS = 1_800_000_000.0
_CALLER = "ann"
_SUBJECTS = ("token:ann", "anyone")
_TO = ("token:ann", "token:ANN", "token:ann/x", "token:an", "token:*", "certificate:ann", "certificate:*", "anyone")
_UNTIL = ("2027-01-15T08:00:00Z", "2027-01-15T07:59:59.5Z", "2027-01-15T10:00:01+02:00", "1970-01-01T00:00:00Z")
"""The ends of grants; now is 2027-01-15T08:00:00Z."""

_MUTATIONS = 20
"""How many policies with mistakes are made of each."""

_SEPARATORS = "/-_.:@ "
_NAMES = (
    *("team-a", "team-ab", "team", "Team-a", "TEAM-A", "te\u0430m-a", "team\u2010a", "team-a\u0301", "team-\u00e1"),
    *("", ".", "..", "%2e%2e", "*", "a", "A", "\U0001f600", "\u212a", "k", "\ufb01", "fi", "\u200b", "x" * 195),
)
"""Parts of ids: look-alikes (Cyrillic a, other hyphens, composed and decomposed accents, ligatures), and long ones."""


@frozen
class _Round:
    """
    A policy, a token, and what a caller has by them.
    """

    content: bytes
    grants: Sequence[Written]
    caller: Caller


def _id(chance: random.Random) -> str:
    parts = [chance.choice(_NAMES) for _ in range(chance.randrange(1, 4))]
    text = "".join(part + chance.choice(_SEPARATORS) for part in parts)
    return text.replace("*", "") if chance.random() < 0.5 else text[:-1]


def _pattern(chance: random.Random) -> str:
    if chance.random() < 0.05:
        return "*"
    text = _id(chance).replace("*", "")
    if chance.random() < 0.5:
        return text or "m"
    return text.rstrip("".join(set(text) - set(_SEPARATORS))) + "*"


def _quoted(value: object) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _policy(chance: random.Random) -> str:
    actions = sorted(action.value for action in GRANTABLE)
    own = {f"own-{number}": chance.sample(actions, chance.randrange(1, 4)) for number in range(3)}
    lines = ["[roles]", *(f"{name} = {_quoted(given)}" for name, given in own.items())]
    for _ in range(chance.randrange(12)):
        lines += [
            "[[grants]]",
            f"to = {_quoted(chance.sample(_TO, chance.randrange(1, 3)))}",
            f"role = {_quoted(chance.choice([*BUILT_IN, *own]))}",
            f"models = {_quoted([_pattern(chance) for _ in range(chance.randrange(1, 4))])}",
        ]
        if chance.random() < 0.3:
            lines.append(f"until = {chance.choice(_UNTIL)}")
    return "\n".join(lines)


def _round(chance: random.Random) -> _Round:
    content = _policy(chance).encode()
    policy = Policy(parse_policy(content))
    token = Token.make(chance.choice)
    role, models = chance.choice([*BUILT_IN]), tuple(_pattern(chance) for _ in range(chance.randrange(3)))
    record = TokenRecord(token.id, _CALLER, token.sha256, role, models, 0, None)
    (read,) = parse_tokens(f"{record.to_json()}\n".encode())
    tokens = OwnTokens(lambda: policy.roles, lambda: _NOW_SECONDS)
    tokens.replace({read.id: read})
    callers = Callers([tokens], policy, lambda: _NOW_SECONDS)
    own = [Written("token:ann", frozenset(BUILT_IN[role]), pattern) for pattern in models]
    return _Round(content, [*written_in(content), *own], callers.find_caller(Credentials(token.text)))


def _ids(chance: random.Random, grants: Sequence[Written]) -> Sequence[str]:
    patterns = [grant.pattern for grant in grants]
    near = [text for it in patterns for text in (it, it[:-1], it[:-2], f"{it[:-1]}x", f"{it}/../b")]
    return sorted({*chance.sample(near, min(len(near), 10)), *(_id(chance) for _ in range(10))} - {""})


def _check(found: _Round, model_ids: Sequence[str]) -> list[str]:
    permissions, wrong = found.caller.permissions, []
    for action in GRANTABLE:
        for model_id in model_ids:
            given = found.grants, _SUBJECTS, action.value, model_id, _NOW_SECONDS
            decisions = (
                (permissions.allow(Need(action, Scope(model_id))), permits(*given)),
                (permissions.allow_on(action, model_id), permits(*given)),
                (permissions.allow(Need(action, Scope(model_id, is_prefix=True))), permits_all(*given)),
            )
            wrong += [
                f"{action.value} on {model_id!r}: {decisions} with {found.grants}"
                for decided, expected in decisions
                if decided != expected
            ]
    may_read = [it for it in model_ids if permits(found.grants, _SUBJECTS, Action.READ.value, it, _NOW_SECONDS)]
    listed = list(permissions.readable(model_ids))
    if listed != may_read or [each for each in model_ids if permissions.may_read(each)] != may_read:
        wrong.append(f"of {model_ids}, {listed} may be read, not {may_read}, with {found.grants}")
    return wrong


def _mutated(chance: random.Random, content: bytes) -> bytes:
    """
    Return a policy with a few mistakes, of the kinds that people and programs make.
    """
    lines = content.split(b"\n")
    for _ in range(chance.randrange(1, 4)):
        at, other = chance.randrange(len(lines)), chance.randrange(len(lines))
        change = chance.randrange(5)
        if change == 0:
            lines[at] = lines[other]
        elif change == 1:
            lines.insert(at, lines[other])
        elif change == 2 and len(lines) > 1:
            del lines[at]
        else:
            line, position = lines[at], chance.randrange(len(lines[at]) + 1)
            inserted = chance.choice([b"", b"*", b"/", b'"', b"\\", b"#", b"[", bytes([chance.randrange(256)])])
            lines[at] = line[:position] + inserted + line[position + chance.randrange(3) :]
    return b"\n".join(lines)


def _check_mutated(chance: random.Random, content: bytes, wrong: list[str]) -> bool:
    mutated = _mutated(chance, content)
    try:
        return is_permitted_as_written(mutated)
    except Exception as error:
        wrong.append(f"the policy {mutated!r}: {error!r}")
        return False


def run(trial: Trial) -> Outcome:
    """
    Decide by policies that chance wrote.
    """
    chance, wrong, done, policies = random.Random(trial.seed), [], 0, 0
    permitted = valid = 0
    while not trial.is_over(done):
        found = _round(chance)
        model_ids = _ids(chance, found.grants)
        wrong += _check(found, model_ids)
        permitted += sum(found.caller.permissions.may_read(model_id) for model_id in model_ids)
        done += len(model_ids) * len(GRANTABLE) * 3
        policies += 1
        valid += sum(_check_mutated(chance, found.content, wrong) for _ in range(_MUTATIONS))
        trial.progress(min(done, trial.count))
    return Outcome(
        done,
        wrong,
        {"policies": policies, "models that could be read": permitted, "mutated policies that were valid": valid},
    )


CASE = Case(
    name="permissions",
    counts="decisions about permissions",
    promise="A caller may do what a grant says, byte by byte, and nothing else.",
    short=60_000,
    long=5_000_000,
    run=run,
)
