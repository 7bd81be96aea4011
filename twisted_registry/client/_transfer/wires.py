"""
The messages of uploads, for each of the two services.
"""

from base64 import b64decode
from collections.abc import Sequence
from typing import Protocol

from attrs import frozen

from twisted_registry.client._transport.calls import decoded
from twisted_registry.client._transport.connection import registry_method
from twisted_registry.client._transport.records import version_record
from twisted_registry.client._transport.replies import version_info
from twisted_registry.client._types import Buffer
from twisted_registry.domain.creation import NO_DETAILS, CreationDetails
from twisted_registry.domain.models import VersionHeader, VersionInfo
from twisted_registry.protocol.call_metadata import IDEMPOTENCY_KEY_ENTRY
from twisted_registry.protocol.framing import BODY_TAG, DATA_TAG, field_header
from twisted_registry.protocol.messages import api, v1

_CHUNK_TAG = 0x12
"""The ``chunk`` of a ``CreateVersionRequest``."""


class UploadWire(Protocol):
    """
    The messages of an upload.
    """

    @property
    def method(self) -> str:
        """
        The name of the method, as ``Connection.method`` takes it.
        """

    @property
    def metadata(self) -> Sequence[tuple[str, str]]:
        """
        The metadata that the call has in addition to those of all calls.
        """

    def first_message(self, header: VersionHeader) -> bytes:
        """
        Return the message before the data.
        """

    def body(self, piece: Buffer) -> bytes:
        """
        Return a message with data.
        """

    def info(self, raw: bytes, model_id: str) -> VersionInfo:
        """
        Return the info in the reply.

        Raises:
            BadReply: it does not fit the request.
        """


@frozen
class CogmentWire:
    """
    The messages of Cogment's service.
    """

    _key: str
    method: str = "CreateVersion"

    @property
    def metadata(self) -> Sequence[tuple[str, str]]:
        """See ``UploadWire.metadata``."""
        return ((IDEMPOTENCY_KEY_ENTRY, self._key),)

    def first_message(self, header: VersionHeader) -> bytes:
        """See ``UploadWire.first_message``."""
        info = api.ModelVersionInfo(
            model_id=header.model_id,
            creation_timestamp=header.created_ns,
            archived=header.archived,
            data_size=header.size_bytes,
            data_hash=header.sha256,
            user_data=header.metadata,
        )
        message = api.CreateVersionRequestChunk(header=api.CreateVersionRequestChunk.Header(version_info=info))
        return message.SerializeToString()

    def body(self, piece: Buffer) -> bytes:
        """See ``UploadWire.body``."""
        data_header = field_header(DATA_TAG, len(piece))
        body_header = field_header(BODY_TAG, len(data_header) + len(piece))
        return b"".join((body_header, data_header, piece))

    def info(self, raw: bytes, model_id: str) -> VersionInfo:
        """See ``UploadWire.info``."""
        return version_info(decoded(api.CreateVersionReply, raw).version_info, model_id)


@frozen
class RegistryWire:
    """
    The messages of ``twisted_registry.v1``, in which an upload can go on at an offset.
    """

    _key: str
    _offset: int = 0
    _details: CreationDetails = NO_DETAILS
    method: str = registry_method("CreateVersion")
    metadata: Sequence[tuple[str, str]] = ()

    def first_message(self, header: VersionHeader) -> bytes:
        """See ``UploadWire.first_message``."""
        message = v1.CreateVersionHeader(
            model_id=header.model_id,
            archived=header.archived,
            size_bytes=header.size_bytes,
            sha256=b64decode(header.sha256),
            metadata=header.metadata,
            labels=self._details.annotations.labels,
            metrics=self._details.annotations.metrics,
            aliases=self._details.aliases,
            alias_reason=self._details.reason,
            idempotency_key=self._key,
            offset=self._offset,
        )
        return v1.CreateVersionRequest(header=message).SerializeToString()

    def body(self, piece: Buffer) -> bytes:
        """See ``UploadWire.body``."""
        return b"".join((field_header(_CHUNK_TAG, len(piece)), piece))

    def info(self, raw: bytes, model_id: str) -> VersionInfo:
        """See ``UploadWire.info``."""
        return version_record(decoded(v1.Version, raw), model_id).info
