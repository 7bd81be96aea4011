"""
Callbacks for changes that no client asked for.
"""

from collections.abc import Callable

from attrs import frozen

from twisted_registry.domain.models import VersionInfo
from twisted_registry.domain.retention import Deleted, ignore_deleted


def _ignore_archived(info: VersionInfo) -> None:
    return None


@frozen
class BackgroundActs:
    """
    Functions to call after changes that no client asked for, in the reactor's thread.

    Attributes:
        deleted: takes the versions that a retention policy has deleted.
        archived: takes a version that was archived instead of being evicted.
    """

    deleted: Deleted = ignore_deleted
    archived: Callable[[VersionInfo], None] = _ignore_archived
