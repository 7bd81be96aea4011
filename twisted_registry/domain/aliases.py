"""
Names for versions that can move from one version to another, and the history of these moves.
"""

import hashlib
import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from attrs import field, frozen

from twisted_registry.domain.errors import AliasMoved, InvalidRequest, TooManyAliases, UnknownAlias, shown

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,127}")
RESERVED = re.compile(r"latest|v[0-9]+", re.IGNORECASE)
"""Names that no alias may have: a reference would read them as versions."""

MAX_REASON_BYTES = 1024

MAX_ALIASES_PER_MODEL = 1000
"""Each move copies the aliases of the model, and each list of versions looks at all of them."""

MAX_READ_REQUESTS = 1000
"""How many moves of a model are recognized after a restart if their request is repeated: the last ones."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


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
class AliasRequest:
    """
    The request for a move, by which a repetition of it is recognized.

    Attributes:
        request_id: a UUID that the client has made for it.
        content: 32 hexadecimal digits that tell it from requests for anything else.
    """

    request_id: str
    content: str

    @classmethod
    def of(cls, request_id: str, *content: str | int | None) -> "AliasRequest | None":
        """
        Return a request; ``None`` if it has no id.

        Args:
            request_id: the id; empty for none.
            content: all that is asked for.

        Raises:
            InvalidRequest: the id is not a UUID, or has only zeros.
        """
        if not request_id:
            return None
        lower = request_id.lower()
        if not _UUID.fullmatch(lower) or not UUID(lower).int:
            raise InvalidRequest(
                f"{shown(request_id)} cannot be a request_id: use a random UUID, such as "
                "'f81d4fae-7dec-41d0-a765-00a0c91e6bf6', or none"
            )
        return cls(lower, hashlib.sha256(repr(content).encode("utf-8", "surrogatepass")).hexdigest()[:32])

    def check_same(self, other: "AliasRequest") -> None:
        """
        Check that a request with the same id asks for the same.

        Raises:
            InvalidRequest: it asks for something else.
        """
        if self.content != other.content:
            raise InvalidRequest(
                f"the request_id {self.request_id} was used before for another move of this model's aliases; use a "
                "new one for each move, and the same one only to repeat it unchanged"
            )


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
        request: the request for it; ``None`` if that had no id.
    """

    alias: str
    from_number: int
    to_number: int
    moved_ns: int
    actor: str = ""
    reason: str = ""
    sequence: int = 0
    request: AliasRequest | None = None


@frozen
class AliasChange:
    """
    A move of an alias as it is asked for.

    Attributes:
        alias: the name of the alias.
        to_number: the number that it shall name; 0 to delete it.
        expected_number: the number that it must name now; 0 if it must not exist; ``None`` for an unconditional move.
        actor: who asks; empty without access control.
        reason: why; may be empty.
        request: the request for it; ``None`` if that had no id.
    """

    alias: str
    to_number: int
    expected_number: int | None = None
    actor: str = ""
    reason: str = ""
    request: AliasRequest | None = None

    def check(self, model_id: str, aliases: Mapping[str, AliasMove]) -> int:
        """
        Return the number that the alias names now, or 0 if it does not exist, if the move may proceed.

        Args:
            model_id: the model's id.
            aliases: the last move of each alias of the model.

        Raises:
            AliasMoved: the alias does not name the expected version.
            UnknownAlias: the alias is to be deleted, and does not exist.
            TooManyAliases: the alias would be new, and the model has as many as it may have.
        """
        present = aliases.get(self.alias)
        present_number = 0 if present is None else present.to_number
        if self.expected_number not in (None, present_number):
            raise AliasMoved(model_id, self.alias, self.expected_number or 0, present_number)
        if not present_number and not self.to_number:
            raise UnknownAlias(model_id, self.alias)
        if not present_number:
            check_alias_count(model_id, aliases, (self.alias,))
        return present_number

    def move(self, from_number: int, moved_ns: int, sequence: int) -> AliasMove:
        """
        Return the move that is made.

        Args:
            from_number: the number that the alias names now; 0 if it does not exist.
            moved_ns: the time in nanoseconds since the Unix epoch.
            sequence: the sequence number of the move.
        """
        return AliasMove(
            self.alias, from_number, self.to_number, moved_ns, self.actor, self.reason, sequence, self.request
        )


def check_alias_count(model_id: str, aliases: Mapping[str, AliasMove], wanted: Iterable[str]) -> None:
    """
    Check that a model may have some more aliases.

    Args:
        aliases: the last move of each alias of the model.
        wanted: the aliases to set; those that exist do not count.

    Raises:
        TooManyAliases: there would be too many.
    """
    if len(aliases) + sum(alias not in aliases for alias in wanted) > MAX_ALIASES_PER_MODEL:
        raise TooManyAliases(model_id, MAX_ALIASES_PER_MODEL)


@frozen
class AliasState:
    """
    The aliases of a model.

    Attributes:
        aliases: the last move of each alias that exists.
        sequence: the highest sequence number of any move; 0 if there was none.
        damaged_moves: how many parts of the history are damaged, each of one move or more.  An alias may have moved
            there, and may name another version than it should.
        requested: the last moves whose requests have an id, in order, at most ``MAX_READ_REQUESTS``.
        highest_number: the highest number that any alias has ever named; 0 if there was none.
    """

    aliases: Mapping[str, AliasMove] = field(factory=dict)
    sequence: int = 0
    damaged_moves: int = 0
    requested: Sequence[AliasMove] = ()
    highest_number: int = 0

    @classmethod
    def after(cls, moves: Iterable[AliasMove]) -> "AliasState":
        """
        Return the state after some moves.

        Args:
            moves: all moves, in order.
        """
        aliases: dict[str, AliasMove] = {}
        requested = deque[AliasMove](maxlen=MAX_READ_REQUESTS)
        sequence = highest_number = 0
        for move in moves:
            sequence = max(sequence, move.sequence)
            highest_number = max(highest_number, move.from_number, move.to_number)
            apply_move(move, aliases)
            if move.request is not None:
                requested.append(move)
        return cls(aliases, sequence, 0, tuple(requested), highest_number)

    @property
    def numbers(self) -> dict[str, int]:
        """
        The numbers that the aliases name.
        """
        return {alias: move.to_number for alias, move in self.aliases.items()}

    def moved(self, move: AliasMove) -> "AliasState":
        """
        Return the state after one more move, without ``requested``.
        """
        aliases = dict(self.aliases)
        apply_move(move, aliases)
        highest_number = max(self.highest_number, move.from_number, move.to_number)
        return AliasState(aliases, move.sequence, highest_number=highest_number)


def apply_move(move: AliasMove, aliases: dict[str, AliasMove]) -> None:
    """
    Change the last move of each alias by one more move.
    """
    if move.to_number:
        aliases[move.alias] = move
    else:
        aliases.pop(move.alias, None)


def aliases_of(aliases: Mapping[str, AliasMove], number: int) -> tuple[str, ...]:
    """
    Return the aliases of one version, sorted.

    Args:
        aliases: the last move of each alias of its model.
        number: the version's number.
    """
    if not aliases:
        return ()
    return tuple(sorted(alias for alias, move in aliases.items() if move.to_number == number))
