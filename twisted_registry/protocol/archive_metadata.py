"""
The archive in a call's metadata: which one the client has worked with, and what it has seen there.

A client that does not know the archive yet sends ``?``, and the server answers with the archive's id in the initial
metadata.  From then on the client sends that id, and the server refuses the call if it serves another archive.
"""

import re
from collections.abc import Iterable

ARCHIVE_KEY = "twisted-registry-archive"

ASKED = "?"
"""Sent instead of an id by a client that does not know it yet."""

SEEN_KEY = "twisted-registry-seen"
"""The highest version number of the call's model that the client has seen."""

_ID = re.compile(r"[0-9A-Za-z-]{1,64}", re.ASCII)
_NUMBER = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)

Metadata = Iterable[tuple[str, str | bytes]]


def archive_in(metadata: Metadata | None) -> str:
    """
    Return the archive's id, or ``ASKED``; empty if the metadata hold neither.
    """
    for key, value in metadata or ():
        if key == ARCHIVE_KEY and isinstance(value, str) and (value == ASKED or _ID.fullmatch(value)):
            return value
    return ""


def seen_in(metadata: Metadata | None) -> int:
    """
    Return the highest version number that the client has seen; 0 if the metadata do not say.
    """
    for key, value in metadata or ():
        if key == SEEN_KEY and isinstance(value, str) and _NUMBER.fullmatch(value):
            return int(value)
    return 0
