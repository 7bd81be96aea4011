"""
A naive reading of a policy, and naive permissions: loops over what is written, byte by byte.
"""

import tomllib
from collections.abc import Iterable, Sequence

from attrs import frozen

BUILT_IN = {
    "reader": {"read", "status"},
    "publisher": {"read", "status", "publish", "describe"},
    "maintainer": {"read", "status", "publish", "describe", "archive", "alias", "delete"},
    "admin": {"read", "status", "publish", "describe", "archive", "alias", "delete", "admin"},
}
"""The actions of the built-in roles."""


@frozen
class Written:
    """
    A grant as it is written.

    Attributes:
        subject: a subject; with a ``*`` at its end, all that begin so.
        actions: what it permits.
        pattern: a model's id; with a ``*`` at its end, all that begin so.
        until_seconds: its end, in seconds since the Unix epoch; ``None`` if it has none.
    """

    subject: str
    actions: frozenset[str]
    pattern: str
    until_seconds: float | None = None


def written_in(policy: bytes) -> Sequence[Written]:
    """
    Read the grants of a valid policy.
    """
    document = tomllib.loads(policy.decode())
    roles = {**BUILT_IN, **{name: set(actions) for name, actions in document.get("roles", {}).items()}}
    found = []
    for table in document.get("grants", []):
        until = table["until"].timestamp() if "until" in table else None
        for subject in _listed(table["to"]):
            for pattern in _listed(table["models"]):
                found.append(Written(subject, frozenset(roles[table["role"]]), pattern, until))
    return found


def _listed(value: object) -> list[str]:
    return [value] if isinstance(value, str) else list(value)  # type: ignore[call-overload]


def matches(pattern: str, text: str) -> bool:
    """
    Return whether a pattern matches a text.
    """
    wanted, given = pattern.encode(), text.encode()
    return given.startswith(wanted[:-1]) if wanted.endswith(b"*") else given == wanted


def permits(grants: Iterable[Written], subjects: Sequence[str], action: str, model_id: str, now_seconds: float) -> bool:
    """
    Return whether grants permit an action on a model.

    Args:
        subjects: those of the caller.
    """
    for grant in grants:
        is_in_force = grant.until_seconds is None or now_seconds < grant.until_seconds
        is_the_callers = any(matches(grant.subject, subject) for subject in subjects)
        if is_in_force and is_the_callers and action in grant.actions and matches(grant.pattern, model_id):
            return True
    return False


def permits_all(grants: Iterable[Written], subjects: Sequence[str], action: str, prefix: str, now: float) -> bool:
    """
    Return whether one of the grants permits an action on all models whose ids begin with a prefix.
    """
    return permits((each for each in grants if each.pattern.endswith("*")), subjects, action, prefix, now)
