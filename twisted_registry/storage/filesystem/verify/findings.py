"""
What a verification of an archive finds.
"""

from enum import Enum

from attrs import frozen

from twisted_registry.domain.errors import RegistryError


class Kind(Enum):
    """
    What is wrong, or worth a word.
    """

    FOLDER = "folder"
    """A model's folder cannot be looked into."""
    MODEL_YAML = "model-yaml"
    """A model's .yaml is missing or malformed."""
    HIGH_WATER_MARK = "reserved"
    """The memory of the numbers given out is malformed."""
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

    IDENTITY = "identity"
    """The file that says which archive it is, is malformed."""
    CLAIM = "claim"
    """A .yaml speaks of another model or number than its name, which is the authority."""
    UNFINISHED = "unfinished"
    """Data above the highest number: a commit under way, or what a crash left."""
    LEFT_OVER = "left-over"
    """What is not under its name yet, or no longer."""
    FOREIGN = "foreign"
    """What is no part of an archive, and passed over."""

    @property
    def is_damage(self) -> bool:
        """
        Tell damage from what is only worth a word.
        """
        return self not in _NOTES


_NOTES = frozenset({Kind.IDENTITY, Kind.CLAIM, Kind.UNFINISHED, Kind.LEFT_OVER, Kind.FOREIGN})


@frozen
class Finding:
    """
    One thing found.

    Attributes:
        model_id: the model it is of; ``None`` where it is of none, or where only a damaged file would tell.
        version_number: the version it is of; ``None`` where it is of none.
        path: the file or folder, relative to the archive.
        reason: what is wrong, in one line.
        is_unread: the disk did not give the file, which may be whole: another try may tell.
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
        Tell damage from what is only worth a word.
        """
        return self.kind.is_damage


class CannotVerify(RegistryError):
    """
    There is no archive to verify, or it cannot be read or changed at all.
    """
