"""
The verification of an audit log: whether lines were changed, removed or inserted since they were written.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from twisted_registry.access.audit.chain import FIRST_PREV, ChainEnd, hash_of, parse_line, read_tail

_LINE_MAX_BYTES = 1024 * 1024
"""More than any line has.  A file without line breaks is read in pieces."""

_Read = Callable[[int], object]


@frozen
class AuditFinding:
    """
    A remark on a line, or on a file.

    Attributes:
        path: the file.
        line: the number of the line in it, from 1; 0 for the file.
        is_damage: whether something was changed or lost since it was written.
        reason: what was found, and what it means.
    """

    path: Path
    line: int
    is_damage: bool
    reason: str


@define
class _Torn:
    """
    A piece of a file that is not a complete line.

    Attributes:
        line: the number of its first line.
        size_bytes: its length, without the last line break.
    """

    line: int
    size_bytes: int = -1
    _sha256: Any = field(factory=hashlib.sha256)

    def add(self, piece: bytes, *, begins_line: bool) -> None:
        if begins_line and self.size_bytes >= 0:
            self._sha256.update(b"\n")
        content = piece.removesuffix(b"\n")
        self.size_bytes += len(content) + begins_line
        self._sha256.update(content)

    def is_named_by(self, fields: Mapping[str, Any]) -> bool:
        return (fields.get("torn_bytes"), fields.get("torn_sha256")) == (self.size_bytes, self._sha256.hexdigest())


@define
class AuditVerification:
    """
    A verification of files, in any order, which together hold the lines of one log.

    Attributes:
        paths: the files.
        on_read: called with the number of bytes that were read.
        lines: how many lines were found so far.
        end: the end of the chain so far; ``None`` before the first line.
    """

    paths: Sequence[Path]
    on_read: _Read = lambda size_bytes: None
    lines: int = 0
    end: ChainEnd | None = None
    _last_event: str = ""

    @property
    def size_bytes(self) -> int:
        """
        The size of all files.

        Raises:
            OSError: a file cannot be read.
        """
        return sum(path.stat().st_size for path in self.paths)

    def findings(self) -> Iterator[AuditFinding]:
        """
        Verify the files, and yield what was found.

        Raises:
            OSError: a file cannot be read.
        """
        for path in in_order(self.paths):
            yield from self._file(path)

    def _file(self, path: Path) -> Iterator[AuditFinding]:
        torn: _Torn | None = None
        number, is_first, begins_line = 0, True, True
        with path.open("rb") as file:
            while line := file.readline(_LINE_MAX_BYTES):
                self.on_read(len(line))
                number += begins_line
                is_complete = begins_line and line.endswith(b"\n")
                fields = parse_line(line) if is_complete else None
                if fields is None:
                    torn = torn or _Torn(number)
                    torn.add(line, begins_line=begins_line)
                else:
                    for is_damage, reason in self._line(line, fields, torn, is_first):
                        yield AuditFinding(path, number, is_damage, reason)
                    torn, is_first = None, False
                begins_line = line.endswith(b"\n")
        yield from self._file_end(path, torn, is_empty=not number, begins_line=begins_line)

    def _file_end(self, path: Path, torn: _Torn | None, *, is_empty: bool, begins_line: bool) -> Iterator[AuditFinding]:
        if is_empty:
            yield AuditFinding(path, 0, False, "the file is empty")
        elif torn is not None and begins_line:
            yield AuditFinding(path, torn.line, True, "it is not a line of an audit log: it was changed or inserted")
        elif torn is not None:
            reason = "it is not complete: the daemon is writing it now, or it was killed while it did"
            yield AuditFinding(path, torn.line, False, reason)

    def _line(
        self, line: bytes, fields: Mapping[str, Any], torn: _Torn | None, is_first: bool
    ) -> Iterator[tuple[bool, str]]:
        yield from self._torn_before(fields, torn)
        yield from self._link(fields, is_first)
        event = str(fields.get("event"))
        count = fields.get("count")
        if event == "missing" and isinstance(count, int) and count:
            yield False, f"up to {count} entries are missing here, because the file could not be written"
        if event == "start" and self._last_event not in ("", "stop"):
            yield False, "the daemon did not stop cleanly before: what it did last may be missing"
        self._last_event = event
        self.lines += 1
        self.end = ChainEnd(fields["seq"], hash_of(line.removesuffix(b"\n")))

    def _torn_before(self, fields: Mapping[str, Any], torn: _Torn | None) -> Iterator[tuple[bool, str]]:
        names_torn = "torn_bytes" in fields
        if torn is None and names_torn:
            yield True, "it names an interrupted line before it, which was removed"
        elif torn is not None and torn.is_named_by(fields):
            yield False, "the line before it was interrupted: the daemon was killed, or the disk was full"
        elif torn is not None:
            yield True, f"line {torn.line} before it is not a line of an audit log: it was changed or inserted"

    def _link(self, fields: Mapping[str, Any], is_first: bool) -> Iterator[tuple[bool, str]]:
        sequence, prev, end = fields["seq"], fields["prev"], self.end
        begins_log = (sequence, prev) == (1, FIRST_PREV)
        if end is None:
            if not begins_log:
                yield False, f"the log begins with its line {sequence}: the lines before it are in other files"
        elif begins_log and is_first:
            yield False, "another log begins here"
        elif sequence > end.sequence + 1:
            yield True, f"the log's lines {end.sequence + 1} to {sequence - 1} are missing before it"
        elif sequence <= end.sequence:
            place = f"it is line {sequence} of the log, and follows line {end.sequence}"
            yield True, f"{place}: lines were moved or repeated"
        elif prev != end.sha256:
            yield True, "it does not have the hash of the line before it: that was changed since, or one was inserted"


def in_order(paths: Sequence[Path]) -> list[Path]:
    """
    Return files in the order of their lines: each after the one with whose last line it goes on.

    Raises:
        OSError: a file cannot be read.
    """
    begins = {path: _first_fields(path) for path in paths}
    by_end = {end.sha256: path for path in paths if (end := _end_of(path)) is not None}
    follower: dict[Path, Path] = {}
    heads = []
    for path in sorted(begins, key=lambda path: (str(begins[path].get("time", "")), int(begins[path].get("seq", 0)))):
        before = by_end.get(str(begins[path].get("prev")))
        if before is None or before == path or before in follower:
            heads.append(path)
        else:
            follower[before] = path
    ordered: list[Path] = []
    for head in heads:
        each: Path | None = head
        while each is not None:
            ordered.append(each)
            each = follower.get(each)
    return [*ordered, *(path for path in begins if path not in ordered)]


def _first_fields(path: Path) -> Mapping[str, Any]:
    with path.open("rb") as file:
        for line in iter(lambda: file.readline(_LINE_MAX_BYTES), b""):
            fields = parse_line(line)
            if fields is not None:
                return fields
    return {}


def _end_of(path: Path) -> ChainEnd | None:
    with path.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _LINE_MAX_BYTES))
        tail = read_tail(file.read())
    return None if tail is None else tail.end
