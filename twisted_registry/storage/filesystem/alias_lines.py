"""
The lines of a journal of aliases: written, parsed, and read forwards and backwards.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen

from twisted_registry.domain.aliases import AliasMove, AliasRequest
from twisted_registry.domain.idempotency import version_facts
from twisted_registry.domain.models import VersionInfo
from twisted_registry.storage.filesystem.documents import format_document, parse_document
from twisted_registry.storage.filesystem.failures import Malformed
from twisted_registry.storage.filesystem.system import System

BLOCK_BYTES = 256 * 1024
TAIL_BYTES = 8 * 1024
MAX_LINE_BYTES = 16 * 1024 * 1024
"""More than any line has.  What is longer is damage, and is not kept in memory."""


@frozen
class Line:
    """
    A line of the journal.

    Attributes:
        start: its position in bytes.
        moves: its moves.
        version: the number and the facts of the version whose commit they belong to; ``None`` if there is none.
        damage: what is wrong with it; empty if nothing is.
        is_torn: whether a crash may have cut it off while it was added.
    """

    start: int
    moves: tuple[AliasMove, ...] = ()
    version: tuple[int, str] | None = None
    damage: str = ""
    is_torn: bool = False


def format_line(moves: Sequence[AliasMove], info: VersionInfo | None = None) -> bytes:
    """
    Return a line.

    Args:
        info: the version whose commit the moves belong to.
    """
    values: dict[str, object] = {"moves": [_values(move) for move in moves]}
    if info is not None:
        values["with"] = [info.version_number, version_facts(info)]
    return format_document(values)


def _values(move: AliasMove) -> dict[str, object]:
    values: dict[str, object] = {
        "sequence": move.sequence,
        "alias": move.alias,
        "from": move.from_number,
        "to": move.to_number,
        "moved_ns": move.moved_ns,
        "actor": move.actor,
        "reason": move.reason,
    }
    if move.request is not None:
        values["request"] = [move.request.request_id, move.request.content]
    return values


def parse_line(start: int, content: bytes) -> Line:
    """
    Return the line at a position.  Never raises.
    """
    try:
        values = parse_document(content)
        moves = tuple(map(_move, values["moves"]))
        version = values.get("with")
        return Line(start, moves, None if version is None else (int(version[0]), str(version[1])))
    except Malformed as error:
        # What was not synced may be missing, or be zeros.
        return Line(start, damage=error.reason, is_torn=not content.endswith(b"\n") or b"\0" in content)
    except (TypeError, KeyError, ValueError, AttributeError, IndexError):
        return Line(start, damage="it does not hold the moves of aliases")


def _move(values: Mapping[str, Any]) -> AliasMove:
    request = values.get("request")
    return AliasMove(
        alias=str(values["alias"]),
        from_number=int(values["from"]),
        to_number=int(values["to"]),
        moved_ns=int(values["moved_ns"]),
        actor=str(values["actor"]),
        reason=str(values["reason"]),
        sequence=int(values["sequence"]),
        request=None if request is None else AliasRequest(str(request[0]), str(request[1])),
    )


def read_lines(system: System, descriptor: int) -> Iterator[Line]:
    """
    Read the lines of an open journal, with little of it in memory.

    Raises:
        OSError: it cannot be read.
    """
    start, rest = 0, b""
    while block := system.read(descriptor, BLOCK_BYTES):
        *pieces, rest = (rest + block).split(b"\n")
        for piece in pieces:
            yield parse_line(start, piece + b"\n")
            start += len(piece) + 1
        if len(rest) > MAX_LINE_BYTES:
            yield parse_line(start, rest)
            start, rest = start + len(rest), b""
    if rest:
        yield parse_line(start, rest)


def last_line(system: System, descriptor: int, size_bytes: int) -> Line:
    length = TAIL_BYTES
    while True:
        start = max(0, size_bytes - length)
        content = system.read_at(descriptor, size_bytes - start, start)
        end_of_last = content.rfind(b"\n", 0, -1)
        if end_of_last >= 0 or start == 0:
            return parse_line(start + end_of_last + 1, content[end_of_last + 1 :])
        length *= 4


def moves_back(system: System, descriptor: int, end: int, before: int | None = None) -> Iterator[AliasMove]:
    """
    Read moves of an open journal from the last to the first, with little of it in memory.

    Args:
        end: where the lines to read end, in bytes.
        before: read only moves with a lower sequence number; ``None`` for all.

    Raises:
        OSError: it cannot be read.
    """
    if before is not None:
        end = _end_before(system, descriptor, end, before)
    for line in _lines_back(system, descriptor, end):
        for move in reversed(line.moves):
            if before is None or move.sequence < before:
                yield move


def _lines_back(system: System, descriptor: int, end: int) -> Iterator[Line]:
    rest = b""  # of a line that begins before what was read
    while end:
        start = max(0, end - TAIL_BYTES)
        content = system.read_at(descriptor, end - start, start) + rest
        first = content.find(b"\n") + 1 if start else 0
        rest = content[:first] if first or not start else content
        if len(rest) > MAX_LINE_BYTES:
            rest = b""
        if first or not start:
            *pieces, last = content[first:].split(b"\n")
            if last:
                yield parse_line(start, last)
            for piece in reversed(pieces):
                yield parse_line(start, piece + b"\n")
        end = start


def _end_before(system: System, descriptor: int, end: int, before: int) -> int:
    """
    Return the start of a line from which on no move has a sequence number below ``before``, or the end.

    Sequence numbers rise.  So half of what is left is excluded by a look at its middle.
    """
    low, high = 0, end
    while high - low > TAIL_BYTES:
        middle = (low + high) // 2
        line = next((line for line in _lines_from(system, descriptor, middle, high) if line.moves), None)
        if line is None or line.moves[0].sequence >= before:
            high = middle
        else:
            low = middle
    return next((line.start for line in _lines_from(system, descriptor, high, end)), end)


def _lines_from(system: System, descriptor: int, start: int, end: int) -> Iterator[Line]:
    """
    Read the lines that begin behind one position, and before another.
    """
    rest, is_first = b"", True  # the first one may have begun before
    begin = position = start
    while begin < end and (block := system.read_at(descriptor, TAIL_BYTES, position)):
        position += len(block)
        *pieces, rest = (rest + block).split(b"\n")
        for piece in pieces:
            if not is_first and begin < end:
                yield parse_line(begin, piece + b"\n")
            begin, is_first = begin + len(piece) + 1, False
