"""
Names for versions that can move from one version to another, and the history of these moves.
"""

import re
from collections.abc import Iterable, Mapping

from attrs import frozen

from twisted_registry.domain.errors import AliasMoved, InvalidRequest, shown

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,127}")
RESERVED = re.compile(r"latest|v[0-9]+", re.IGNORECASE)
"""Names that no alias may have: a reference would read them as versions."""

MAX_REASON_BYTES = 1024


def check_alias_name(alias: str) -> str:
    """
    Return the name of an alias, if it is allowed: an ASCII letter, then at most 127 letters, digits, ``_`` and ``-``.

    The case of letters matters.  ``latest`` and ``v`` with digits are reserved in any case.

    Raises:
        InvalidRequest: the name is not allowed.
    """
    if not _NAME.fullmatch(alias):
        raise InvalidRequest(
            f"{shown(alias)} cannot be an alias: use an ASCII letter, then at most 127 letters, digits, '_' and '-'"
        )
    if RESERVED.fullmatch(alias):
        raise InvalidRequest(
            f"{shown(alias)} cannot be an alias: 'latest' and 'v' with a number name versions; choose another name"
        )
    return alias


def check_reason(reason: str) -> str:
    """
    Return the reason of a move, if it is allowed: at most 1 KiB of UTF-8.

    Raises:
        InvalidRequest: the reason is not allowed.
    """
    try:
        size_bytes = len(reason.encode())
    except UnicodeEncodeError:
        raise InvalidRequest("the reason is not Unicode text") from None
    if size_bytes > MAX_REASON_BYTES:
        raise InvalidRequest(f"the reason has {size_bytes} bytes; at most {MAX_REASON_BYTES} are allowed: shorten it")
    return reason


@frozen
class AliasMove:
    """
    A move of an alias from one version of its model to another.

    Attributes:
        alias: the name of the alias.
        from_number: the number that it named before; 0 if it did not exist.
        to_number: the number that it names since; 0 if it was deleted.
        moved_ns: time of the move in nanoseconds since the Unix epoch.
        actor: who moved it; empty without access control.
        reason: why; may be empty.
        sequence: counts the moves of all aliases of the model, from 1.
    """

    alias: str
    from_number: int
    to_number: int
    moved_ns: int
    actor: str = ""
    reason: str = ""
    sequence: int = 0


def check_expected(aliases: Mapping[str, int], model_id: str, alias: str, expected_number: int | None) -> int:
    """
    Return the number that an alias names now, or 0 if it does not exist, if a move may proceed.

    Args:
        aliases: the numbers that the aliases of the model name.
        model_id: the model's id.
        alias: the alias to move.
        expected_number: the number that it must name; 0 if it must not exist; ``None`` for an unconditional move.

    Raises:
        AliasMoved: the alias names another version.
    """
    present_number = aliases.get(alias, 0)
    if expected_number not in (None, present_number):
        raise AliasMoved(model_id, alias, expected_number or 0, present_number)
    return present_number


def fold(moves: Iterable[AliasMove], aliases: Mapping[str, int] | None = None) -> dict[str, int]:
    """
    Return the number that each alias names after some moves.  A deleted alias is not in the result.

    Args:
        moves: the moves, in order.
        aliases: the numbers that the aliases named before; ``None`` if there were no aliases.
    """
    numbers = dict(aliases or {})
    for move in moves:
        if move.to_number:
            numbers[move.alias] = move.to_number
        else:
            numbers.pop(move.alias, None)
    return numbers


def aliases_by_number(aliases: Mapping[str, int]) -> dict[int, tuple[str, ...]]:
    """
    Return the aliases of each version that has any, sorted, by the number of the version.
    """
    found: dict[int, list[str]] = {}
    for alias, number in sorted(aliases.items()):
        found.setdefault(number, []).append(alias)
    return {number: tuple(names) for number, names in found.items()}
