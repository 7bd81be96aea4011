"""
The tables ``[[quotas]]`` of the policy: how much callers and models may use.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from twisted_registry.access.policy.reader import PolicyReader, Table
from twisted_registry.access.policy.subjects import Subjects
from twisted_registry.domain.errors import shown
from twisted_registry.domain.quotas import Quota

_RATES = ("calls_per_second", "bytes_per_second")
_STORED = ("memory_bytes", "memory_versions", "archive_bytes")
_LIMITS = (*_RATES, *_STORED)
_KEYS = ("name", "to", "models", "shared", *_LIMITS)

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_SIZE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?(B|kB|[KMGTP]i?B)")
_UNITS = {"B": 1, "kB": 1000, **{f"{unit}B": 1000**power for power, unit in enumerate("KMGTP", 1)}}
_UNITS |= {f"{unit}iB": 1024**power for power, unit in enumerate("KMGTP", 1)}
_MOST = 2**60


def read_quotas(reader: PolicyReader, document: Table, subjects: Subjects) -> Sequence[Quota]:
    """
    Return the quotas of a policy.
    """
    found: dict[str, Quota] = {}
    for number, table in enumerate(reader.tables(document, "quotas"), 1):
        quota = _quota(reader, f"quota {number}", table, subjects)
        if quota.name in found:
            reader.refuse(f"quota {number} has the name {shown(quota.name)}, as another one; choose another name")
        found[quota.name] = quota
    return [*found.values()]


def _quota(reader: PolicyReader, where: str, table: Table, subjects: Subjects) -> Quota:
    reader.check_keys(where, table, _KEYS)
    name = table.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        reader.refuse(f"{where} needs a 'name' of small letters, digits, hyphens and underscores")
        name = where
    limits = dict(_limits(reader, where, table))
    if not any(key in table for key in _LIMITS):
        reader.refuse(f"{where} limits nothing; give it one of {', '.join(_LIMITS)}")
    _check_shape(reader, where, table)
    return Quota(
        name,
        tuple(subjects.read(reader, where, table, "to")) if "to" in table else (),
        tuple(reader.scopes(where, table)) if "models" in table else (),
        table.get("shared") is True,
        **limits,
    )


def _check_shape(reader: PolicyReader, where: str, table: Table) -> None:
    stored = [key for key in _STORED if key in table]
    if stored and "to" in table:
        reader.refuse(f"{where} has 'to' and {stored[0]!r}: what is stored counts by 'models'; make it two quotas")
    if "shared" not in table:
        return
    if not isinstance(table["shared"], bool):
        reader.refuse(f"{where} has 'shared' = {shown(table['shared'])}; expected true or false")
    elif not any(key in table for key in _RATES):
        reader.refuse(f"{where} has 'shared', which is about {' and '.join(_RATES)}; leave it out")


def _limits(reader: PolicyReader, where: str, table: Table) -> Iterator[tuple[str, Any]]:
    for key in _LIMITS:
        if key not in table:
            continue
        is_rate, is_size = key in _RATES, key.endswith("bytes") or key.startswith("bytes")
        value = _number(table[key], is_size=is_size, is_rate=is_rate)
        if value is None:
            example = "2 GiB" if is_size else "10"
            kind = "a positive number" if is_rate and not is_size else "a positive whole number"
            also = f", or a text such as {example!r}" if is_size else f" such as {example}"
            reader.refuse(f"{where} has {key!r} = {shown(table[key])}; expected {kind}{also}")
        else:
            yield key, value


def _number(value: Any, *, is_size: bool, is_rate: bool) -> float | None:
    """
    Return a limit; ``None`` if it is not valid.
    """
    if is_size and isinstance(value, str):
        match = _SIZE.fullmatch(value)
        value = None if match is None else round(float(match[1]) * _UNITS[match[2]])
    if not isinstance(value, int | float if is_rate else int) or isinstance(value, bool):
        return None
    return value if 0 < value <= _MOST else None  # also without NaN
