"""
Findings of a verification.
"""

from enum import Enum

from attrs import frozen

from twisted_registry.domain.errors import RegistryError


class Kind(Enum):
    """
    The kind of a finding.
    """

    FOLDER = "folder"
    """A model's directory cannot be read."""
    MODEL_YAML = "model-yaml"
    """A model's .yaml is missing or malformed."""
    HIGH_WATER_MARK = "reserved"
    """A model's high-water mark is malformed."""
    NUMBER = "number"
    """A version's .yaml has a number that no version can have."""
    VERSION_YAML = "version-yaml"
    """A version's .yaml is malformed."""
    DATA_MISSING = "data-missing"
    DATA_UNREADABLE = "data-unreadable"
    DATA_SIZE = "data-size"
    DATA_HASH = "data-hash"
    ORPHAN = "orphan"
    """Data below the highest number whose .yaml is lost."""

    ANNOTATIONS = "annotations"
    """A version's labels and metrics are malformed."""
    ALIASES = "aliases"
    """Moves of a model's aliases are malformed."""
    RETENTION = "retention"
    """A retention policy is malformed."""

    ALIAS = "alias"
    """An alias names a version that does not exist."""
    IDENTITY = "identity"
    """The file with the archive's id is malformed."""
    CLAIM = "claim"
    """A .yaml names another model or number than its own name, which is authoritative."""
    UNFINISHED = "unfinished"
    """Data above the highest number: a commit under way, or left by a crash."""
    LEFT_OVER = "left-over"
    """A file that does not have its final name yet, or is being removed."""
    FOREIGN = "foreign"
    """A file that is not part of an archive, and is ignored."""

    @property
    def is_damage(self) -> bool:
        """
        Return whether it is damage; otherwise it is only a note.
        """
        return self not in _NOTES


_NOTES = frozenset({Kind.ALIAS, Kind.IDENTITY, Kind.CLAIM, Kind.UNFINISHED, Kind.LEFT_OVER, Kind.FOREIGN})


@frozen
class Finding:
    """
    Damage, or a note, about one file or directory.

    Attributes:
        kind: the kind of the finding.
        model_id: its model; ``None`` if it has none, or if only a damaged file contains the id.
        version_number: its version; ``None`` if it is not about a version.
        path: the file or directory, relative to the archive.
        reason: what is wrong, in one line.
        is_unread: whether the disk failed to read the file, which may be intact: a second verification may succeed.
    """

    kind: Kind
    model_id: str | None
    version_number: int | None
    path: str
    reason: str
    is_unread: bool = False

    @property
    def is_damage(self) -> bool:
        """
        Return whether it is damage; otherwise it is only a note.
        """
        return self.kind.is_damage


class CannotVerify(RegistryError):
    """
    The archive cannot be verified: it does not exist, or cannot be read or changed at all.
    """
