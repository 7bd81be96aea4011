"""
Versions as filters, orders and retention see them, made for tests.
"""

from collections.abc import Sequence

from twisted_registry.domain.annotations import Annotations
from twisted_registry.domain.fields import VERSION_FIELDS
from twisted_registry.domain.models import VersionInfo
from twisted_registry.domain.query import Query
from twisted_registry.domain.records import VersionRecord

NS = 1_000_000_000
NOW_NS = 1_800_000_000 * NS
SHA256 = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


def version(
    number: int = 1,
    *,
    created_ns: int = NOW_NS,
    archived: bool = False,
    size_bytes: int = 10,
    metadata: dict[str, str] | None = None,
    labels: dict[str, str] | None = None,
    metrics: dict[str, float] | None = None,
    aliases: Sequence[str] = (),
) -> VersionRecord:
    """
    Make a version.
    """
    info = VersionInfo("m", number, created_ns, archived, SHA256, size_bytes, metadata or {})
    return VersionRecord(info, Annotations(labels or {}, metrics or {}), tuple(aliases))


def query(filter_text: str = "", order_text: str = "") -> Query:
    """
    Parse a query on versions.
    """
    return Query.parse(filter_text, order_text, VERSION_FIELDS, NOW_NS)


def matches(text: str, record: VersionRecord) -> bool:
    """
    Return whether a version matches a filter.
    """
    found: object = query(text).filter.matches(record)
    assert isinstance(found, bool), text
    return found
