"""
The file of the registry's tokens: a line of JSON for each, without its secret.

The command line changes it, and the daemon reads it again then.  It is replaced as a whole, so that a reader never sees
a part of it.
"""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from twisted_registry.access.file_kinds import BadFile, FileKind
from twisted_registry.domain.access import ROLES, Action, Grant, Scope
from twisted_registry.domain.errors import shown

MOST_TOKENS = 100_000

TOKEN_FILE = FileKind("token file", 64 * 2**20, is_private=True)
"""The kind of the file."""

_MODE = 0o600
_FIELDS = ("id", "name", "sha256", "role", "models", "created", "expires")


@frozen
class TokenRecord:
    """
    A token as it is kept.

    Attributes:
        id: the public part of the token.
        name: the name of the identity that it stands for; several tokens may have the same.
        sha256: the SHA-256 of its secret, in hexadecimal digits.
        role: a built-in role, or one of the policy.
        models: patterns of the models on which it has the role; see ``Scope.parse``.
        created_seconds: when it was made, in seconds since the Unix epoch.
        expires_seconds: when it ends, in seconds since the Unix epoch; ``None`` for never.
    """

    id: str
    name: str
    sha256: str
    role: str
    models: tuple[str, ...]
    created_seconds: int
    expires_seconds: int | None

    def grants(self, roles: Mapping[str, frozenset[Action]] = ROLES) -> tuple[Grant, ...]:
        """
        Return the grants of the token; none if its role is unknown.
        """
        actions = roles.get(self.role)
        return () if actions is None else tuple(Grant(actions, Scope.parse(pattern)) for pattern in self.models)

    def to_json(self) -> str:
        """
        Return the line of the file.
        """
        values = (
            self.id,
            self.name,
            self.sha256,
            self.role,
            self.models,
            self.created_seconds,
            self.expires_seconds,
        )
        return json.dumps(dict(zip(_FIELDS, values, strict=True)))

    @classmethod
    def from_json(cls, line: str) -> "TokenRecord":
        """
        Read a line of the file.

        Raises:
            ValueError: it is not one.
        """
        given = json.loads(line)
        if not isinstance(given, dict) or set(given) != set(_FIELDS):
            raise ValueError(f"it must have the fields {', '.join(_FIELDS)}")
        id, name, sha256, role = (given[key] for key in ("id", "name", "sha256", "role"))
        models, created, expires = given["models"], given["created"], given["expires"]
        if not all(isinstance(text, str) and text for text in (id, name, sha256, role)):
            raise ValueError("the id, the name, the sha256 and the role must be texts")
        if not (id.isprintable() and name.isprintable()):  # they are in log lines and errors
            raise ValueError("the id and the name must have printable characters only")
        if len(sha256) != 64 or set(sha256) - set("0123456789abcdef"):
            raise ValueError("the sha256 must have 64 hexadecimal digits")
        if not (isinstance(models, list) and all(isinstance(pattern, str) for pattern in models)):
            raise ValueError("the models must be a list of patterns")
        if type(created) is not int or not (expires is None or type(expires) is int):
            raise ValueError("the times must be whole seconds")
        for pattern in models:
            Scope.parse(pattern)
        return cls(id, name, sha256, role, tuple(models), created, expires)


def parse_tokens(content: bytes) -> Sequence[TokenRecord]:
    """
    Read the content of the file.

    Raises:
        BadFile: it is damaged; no token counts then.
    """
    records: dict[str, TokenRecord] = {}
    try:
        lines = content.decode().split("\n")
    except UnicodeDecodeError:
        raise BadFile("the token file is not a text in UTF-8; restore it from a backup") from None
    if lines.pop():
        raise BadFile("the last line of the token file is cut off; restore it from a backup, or remove that line")
    for number, line in enumerate(lines, start=1):
        try:
            record = TokenRecord.from_json(line)
        except (ValueError, RecursionError) as error:
            raise BadFile(
                f"line {number} of the token file is not a token: {shown(error)}; restore it from a backup"
            ) from None
        if record.id in records:
            raise BadFile(
                f"line {number} of the token file has the id {record.id} of an earlier line; remove one of them"
            )
        records[record.id] = record
    if len(records) > MOST_TOKENS:
        raise BadFile(f"the token file has more than {MOST_TOKENS} tokens; remove those that have ended")
    return list(records.values())


@contextmanager
def editing_tokens(path: Path) -> Iterator[list[TokenRecord]]:
    """
    Change the file: what is in the list at the end of the block is written, if it has changed.  Other programs that use
    this function wait meanwhile.

    Raises:
        BadFile: it cannot be read or written.
    """
    path = path.resolve()  # a link would be replaced by a file, and two links would have two locks
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        lock = os.open(path.with_name(f".{path.name}.lock"), flags, _MODE)
    except OSError as error:
        raise BadFile(f"the token file {path} cannot be changed: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = list(parse_tokens(TOKEN_FILE.read(path))) if path.exists() else []
        records = list(before)
        yield records
        if records != before or not path.exists():
            _replace(path, records)
    finally:
        os.close(lock)


def _replace(path: Path, records: Iterable[TokenRecord]) -> None:
    content = "".join(f"{record.to_json()}\n" for record in records).encode()
    new_file = path.with_name(f".{path.name}.new")
    try:
        new_file.unlink(missing_ok=True)
        with open(os.open(new_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE), "wb") as file:
            if path.exists():  # the daemon's user keeps its file if root edits it
                owner = path.stat()
                if (owner.st_uid, owner.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new_file.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        new_file.unlink(missing_ok=True)
        raise BadFile(f"the token file {path} cannot be written: {error.strerror}") from None
