"""
The creation of a version: what is set with it, and what an upload that goes on later must have in common with its
beginning.
"""

import hashlib
from typing import Self

from attrs import frozen

from twisted_registry.domain.aliases import check_alias_name, check_reason
from twisted_registry.domain.annotations import NO_ANNOTATIONS, Annotations, check_annotations
from twisted_registry.domain.errors import InvalidRequest
from twisted_registry.domain.models import VersionHeader

MAX_ALIASES = 64


@frozen
class CreationDetails:
    """
    The properties that are set in the commit of a version, beside those in its header.

    Attributes:
        annotations: its labels and metrics.
        aliases: the aliases that name it from then on.
        actor: who creates it; empty without access control.
        reason: why the aliases move; may be empty.
    """

    annotations: Annotations = NO_ANNOTATIONS
    aliases: tuple[str, ...] = ()
    actor: str = ""
    reason: str = ""

    def check(self, header: VersionHeader) -> None:
        """
        Check that the details are allowed.

        Raises:
            InvalidRequest: they are not.
        """
        check_annotations(self.annotations)
        check_reason(self.reason)
        if self.aliases and not header.archived:
            raise InvalidRequest("only an archived version may have aliases; set 'archived', or leave them out")
        if len(self.aliases) > MAX_ALIASES:
            raise InvalidRequest(f"a version is created with at most {MAX_ALIASES} aliases; set the others later")
        if len(set(self.aliases)) < len(self.aliases):
            raise InvalidRequest("the same alias is given twice; name each once")
        for alias in self.aliases:
            check_alias_name(alias)


NO_DETAILS = CreationDetails()


@frozen
class UploadFacts:
    """
    The declared properties of an upload, by which the call that goes on with it is recognized.

    Attributes:
        archived: whether the version is archived.
        size_bytes: the size of all data in bytes.
        sha256: SHA-256 of all data in standard base64; empty if not declared.
        metadata_sha256: SHA-256 of the metadata in hexadecimal.
    """

    archived: bool
    size_bytes: int
    sha256: str
    metadata_sha256: str

    @classmethod
    def of(cls, header: VersionHeader) -> Self:
        """
        Return the facts of an upload with this header.
        """
        metadata = hashlib.sha256(repr(sorted(header.metadata.items())).encode()).hexdigest()
        return cls(header.archived, header.size_bytes, header.sha256, metadata)

    def check(self, header: VersionHeader) -> None:
        """
        Check that an upload with this header can go on where the one with these facts ended.

        Raises:
            InvalidRequest: it is another version.
        """
        other = UploadFacts.of(header)
        pairs = {
            "archived": (self.archived, other.archived),
            "size": (self.size_bytes, other.size_bytes),
            "SHA-256": (self.sha256, other.sha256),
            "metadata": (self.metadata_sha256, other.metadata_sha256),
        }
        different = [name for name, (before, now) in pairs.items() if before != now]
        if different:
            raise InvalidRequest(
                f"the unfinished upload with this idempotency key differs in {', '.join(different)}; send the same "
                "header, or begin again at offset 0"
            )
