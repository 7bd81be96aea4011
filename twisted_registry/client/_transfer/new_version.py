"""
Versions to create, as callers describe them.
"""

import time
from collections.abc import Iterable, Mapping

from attrs import frozen

from twisted_registry.client._transport.requests import (
    sendable_annotations,
    sendable_created_ns,
    sendable_metadata,
    sendable_model_id,
    sendable_names,
)
from twisted_registry.client._types import Data, Progress, no_progress
from twisted_registry.client.errors import InvalidRequest
from twisted_registry.domain.creation import NO_DETAILS, CreationDetails
from twisted_registry.domain.idempotency import check_idempotency_key
from twisted_registry.domain.models import VersionHeader


@frozen(kw_only=True)
class NewVersion:
    """
    A version to create; see ``Client.store`` for its parameters.

    Attributes:
        archived: whether the version is archived.
    """

    model_id: str
    archived: bool
    data: Data
    metadata: Mapping[str, str] | None
    size_bytes: int | None
    created_ns: int | None
    progress: Progress | None
    deadline_seconds: float | None
    idempotency_key: str | None
    labels: Mapping[str, str] | None
    metrics: Mapping[str, float] | None
    aliases: Iterable[str] = ()
    reason: str = ""

    def header(self) -> VersionHeader:
        """
        Return the header, without the size of the data.

        Raises:
            InvalidRequest: a value is not allowed.
            UnknownModel: no model can have the id.
        """
        created_ns = time.time_ns() if self.created_ns is None else sendable_created_ns(self.created_ns)
        return VersionHeader(
            sendable_model_id(self.model_id), self.archived, 0, "", created_ns, sendable_metadata(self.metadata)
        )

    def details(self) -> CreationDetails:
        """
        Return what is set in the commit of the version, besides its header.

        Raises:
            InvalidRequest: a value is not allowed, or cannot be sent with a time of creation.
        """
        if not (self.labels or self.metrics or self.aliases or self.reason):
            return NO_DETAILS  # nearly always
        annotations = sendable_annotations(self.labels, self.metrics)
        details = CreationDetails(annotations, sendable_names(self.aliases), reason=self.reason)
        details.check(self.header())
        if self.created_ns is not None:
            raise InvalidRequest(
                "created_ns cannot be combined with labels, metrics or aliases; leave it out, or set them afterwards"
            )
        return details

    def key(self) -> str | None:
        """
        Return the key of the creation; ``None`` for a random one.

        Raises:
            InvalidRequest: the key is not allowed.
        """
        return None if self.idempotency_key is None else check_idempotency_key(self.idempotency_key)

    @property
    def report(self) -> Progress:
        """
        The function that is called with the progress.
        """
        return self.progress or no_progress
