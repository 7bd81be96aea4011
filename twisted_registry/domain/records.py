"""
Records: what filters, orders and retention know of a version or a model.
"""

from collections.abc import Mapping

from attrs import field, frozen

from twisted_registry.domain.annotations import NO_ANNOTATIONS, Annotations
from twisted_registry.domain.models import VersionInfo


@frozen
class VersionRecord:
    """
    A version with what was added to it since.

    Attributes:
        info: the version without its data.
        annotations: its labels and metrics.
        aliases: the aliases that name it, sorted.
    """

    info: VersionInfo
    annotations: Annotations = NO_ANNOTATIONS
    aliases: tuple[str, ...] = ()

    @property
    def number(self) -> int:
        """
        The version's number.
        """
        return self.info.version_number

    @property
    def created_ns(self) -> int:
        """
        Creation time in nanoseconds since the Unix epoch.
        """
        return self.info.created_ns

    @property
    def archived(self) -> bool:
        """
        Return whether the version is archived; otherwise it is transient.
        """
        return self.info.archived

    @property
    def sha256(self) -> str:
        """
        SHA-256 of the data in standard base64.
        """
        return self.info.sha256

    @property
    def size_bytes(self) -> int:
        """
        Size of the data in bytes.
        """
        return self.info.size_bytes

    @property
    def metadata(self) -> Mapping[str, str]:
        """
        Key-value pairs of its creation.
        """
        return self.info.metadata

    @property
    def created_by(self) -> str:
        """
        Name of the caller that created it, such as ``token:ci``; empty without access control.
        """
        return self.info.created_by

    @property
    def labels(self) -> Mapping[str, str]:
        """
        Key-value pairs that may change.
        """
        return self.annotations.labels

    @property
    def metrics(self) -> Mapping[str, float]:
        """
        Numbers that may change.
        """
        return self.annotations.metrics


@frozen
class ModelRecord:
    """
    A model with what is known of its versions.

    Attributes:
        model_id: the model's id.
        metadata: key-value pairs.
        latest_number: number of its latest version; 0 if it has no versions.
        version_count: how many versions it has.
        archived_count: how many of them are archived.
        aliases: the numbers that its aliases name.
        etag: a text that differs whenever the metadata does; empty if it is not known.
    """

    model_id: str
    metadata: Mapping[str, str] = field(factory=dict)
    latest_number: int = 0
    version_count: int = 0
    archived_count: int = 0
    aliases: Mapping[str, int] = field(factory=dict)
    etag: str = ""
