"""
The messages of ``cogmentAPI.ModelRegistrySP`` to values, and values to messages.

An upload's body ends with the very bytes of a download's chunk (``twisted_registry.protocol.framing``).  So data is put
into the message of a reply once, when it is stored, and is sent from there to any number of readers without protobuf.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import Generic, TypeVar

from google.protobuf.message import DecodeError, Message
from zope.interface import implementer

from twisted_registry.application.pagination import BATCH, ModelsQuery, VersionsQuery
from twisted_registry.application.validation import checked_metadata
from twisted_registry.contracts.transfers import IChunker
from twisted_registry.domain.errors import InvalidRequest, TooLarge
from twisted_registry.domain.models import (
    MAX_USER_DATA_BYTES,
    Chunk,
    ModelInfo,
    VersionHeader,
    VersionInfo,
    check_model_id,
)
from twisted_registry.domain.references import Reference
from twisted_registry.protocol.framing import BODY_TAG, DATA_TAG, content_offset, field_header
from twisted_registry.protocol.limits import MODELS_REQUEST_MAX_BYTES, REQUEST_MAX_BYTES
from twisted_registry.protocol.messages import api, common
from twisted_registry.rpc.parsing import parse, parse_long

M = TypeVar("M", bound=Message)
T = TypeVar("T")

MAX_REPLY_BYTES = 64 * 1024 * 1024

_SHORT_BYTES = 1024

# Requests


def _parse_with_metadata(message_class: type[M], raw: bytes) -> M:
    # Such a message is as long as its metadata, of which too much is never accepted.
    if len(raw) > REQUEST_MAX_BYTES:
        raise InvalidRequest(
            f"the {message_class.DESCRIPTOR.name} has {len(raw)} bytes; at most {REQUEST_MAX_BYTES} are accepted, with "
            f"at most {MAX_USER_DATA_BYTES} of metadata (user_data): store large data as versions"
        )
    return parse(message_class, raw)


def model_to_save(raw: bytes) -> ModelInfo:
    """
    Read a ``CreateOrUpdateModelRequest``.

    Raises:
        InvalidRequest: it is not one, it has no model_info, or it has too much metadata.
        InvalidModelId: the model's id is not allowed.
    """
    request = _parse_with_metadata(api.CreateOrUpdateModelRequest, raw)
    if not request.HasField("model_info"):
        raise InvalidRequest("the request has no model_info; set it, with a model_id")
    info = request.model_info
    return ModelInfo(check_model_id(info.model_id), checked_metadata(info.user_data))


def model_to_delete(raw: bytes) -> str:
    """
    Read a ``DeleteModelRequest``: a model's id.
    """
    return parse(api.DeleteModelRequest, raw).model_id


async def models_query(raw: bytes) -> ModelsQuery:
    """
    Read a ``RetrieveModelsRequest``.

    Raises:
        TooLarge: it is too long.
        InvalidRequest: it is not one.
    """
    request = await parse_long(api.RetrieveModelsRequest, raw, MODELS_REQUEST_MAX_BYTES)
    return ModelsQuery(request.model_ids, request.models_count, request.model_handle)


def versions_query(raw: bytes) -> VersionsQuery:
    """
    Read a ``RetrieveVersionInfosRequest``.

    Raises:
        TooLarge: it is too long.
        InvalidRequest: it is not one.
    """
    return _short_versions_query(raw) if len(raw) <= _SHORT_BYTES else _versions_query(raw)


def _versions_query(raw: bytes) -> VersionsQuery:
    request = parse(api.RetrieveVersionInfosRequest, raw)
    return VersionsQuery(request.model_id, request.version_numbers, request.versions_count, request.version_handle)


# With access control, each is read to know the model, also if the reply is known.
_short_versions_query = lru_cache(maxsize=256)(_versions_query)


def version_header(raw: bytes) -> VersionHeader:
    """
    Read the first message of a ``CreateVersion`` stream.

    Raises:
        InvalidRequest: it is not a header with a version_info, or it has too much metadata.
    """
    chunk = _parse_with_metadata(api.CreateVersionRequestChunk, raw)
    if chunk.WhichOneof("msg") != "header" or not chunk.header.HasField("version_info"):
        raise InvalidRequest("the first message of the stream must be a header with a version_info")
    info = chunk.header.version_info
    return VersionHeader(
        model_id=info.model_id,
        archived=info.archived,
        size_bytes=info.data_size,
        sha256=info.data_hash,
        created_ns=info.creation_timestamp,
        metadata=checked_metadata(info.user_data),
    )


def version_reference(raw: bytes) -> Reference:
    """
    Read a ``RetrieveVersionDataRequest``: a reference to a version.

    Raises:
        TooLarge: it is too long.
        InvalidRequest: it is not one.
    """
    return _short_version_reference(raw) if len(raw) <= _SHORT_BYTES else _version_reference(raw)


def _version_reference(raw: bytes) -> Reference:
    request = parse(api.RetrieveVersionDataRequest, raw)
    return Reference(request.model_id, request.version_number)


# Hundreds of actors ask for the same version at once.
_short_version_reference = lru_cache(maxsize=256)(_version_reference)


def model_to_follow(raw: bytes) -> str:
    """
    Read a ``VersionUpdateRequest``: a model's id.
    """
    return parse(api.VersionUpdateRequest, raw).model_id


def check_version_request(raw: bytes) -> None:
    """
    Check that a message is a ``VersionRequest``, which is empty.
    """
    parse(common.VersionRequest, raw)


def status_names(raw: bytes) -> Sequence[str]:
    """
    Read a ``StatusRequest``: names of values.
    """
    return parse(common.StatusRequest, raw).names


# Replies


def model_message(info: ModelInfo) -> "api.ModelInfo":
    """
    Return a model's info as a message.
    """
    return api.ModelInfo(model_id=info.model_id, user_data=info.metadata)


def version_message(info: VersionInfo) -> "api.ModelVersionInfo":
    """
    Return a version's info as a message.
    """
    return api.ModelVersionInfo(
        model_id=info.model_id,
        version_number=info.version_number,
        creation_timestamp=info.created_ns,
        archived=info.archived,
        data_hash=info.sha256,
        data_size=info.size_bytes,
        user_data=info.metadata,
    )


def created_reply(info: VersionInfo) -> bytes:
    """
    Return the reply to ``CreateVersion``.
    """
    return api.CreateVersionReply(version_info=version_message(info)).SerializeToString()


def versions_reply(versions: Mapping[str, str]) -> bytes:
    """
    Return the reply to ``Version``.

    Args:
        versions: the versions of programs, by name.
    """
    pairs = [common.VersionInfo.Version(name=name, version=version) for name, version in versions.items()]
    return common.VersionInfo(versions=pairs).SerializeToString()


def status_reply(statuses: Mapping[str, str]) -> bytes:
    """
    Return the reply to ``Status``.
    """
    return common.StatusReply(statuses=statuses).SerializeToString()


SAVED_REPLY = api.CreateOrUpdateModelReply().SerializeToString()
DELETED_REPLY = api.DeleteModelReply().SerializeToString()


class UpdateEncoder:
    """
    The encoder of ``VersionUpdate``.  The streams of a model, which resume together, share one message.
    """

    def __init__(self) -> None:
        self._last: tuple[VersionInfo | None, bytes] = (None, b"")

    def update(self, info: VersionInfo) -> bytes:
        """
        Return the message about a version.
        """
        if self._last[0] is not info:
            self._last = info, api.VersionUpdateReply(version_info=version_message(info)).SerializeToString()
        return self._last[1]


class ReplyPage(Generic[T, M]):
    """
    The entries of a list reply.  They are serialized a few at a time: a hundred thousand at once would hold up
    all other calls for a tenth of a second.
    """

    def __init__(
        self, encode: Callable[[T], M], serialize: Callable[[Sequence[M], str], bytes], count_field: str
    ) -> None:
        """

        Args:
            encode: returns an entry as a message.
            serialize: returns a reply that holds messages and the handle that continues the list.
            count_field: the field of the request that asks for smaller pages.
        """
        self._encode = encode
        self._serialize = serialize
        self._count_field = count_field
        self._size_bytes = 0
        self._messages: list[M] = []
        self._serialized: list[bytes] = []

    def add(self, entry: T) -> None:
        """
        Add an entry.

        Raises:
            TooLarge: the reply would be larger than ``MAX_REPLY_BYTES``.
        """
        message = self._encode(entry)
        self._size_bytes += message.ByteSize() + 6  # at most: a tag and a length
        if self._size_bytes > MAX_REPLY_BYTES:
            raise TooLarge(
                f"the reply would be larger than {MAX_REPLY_BYTES} bytes; ask for smaller pages: set "
                f"{self._count_field}, and pass the handle of each reply to the next call"
            )
        if len(self._messages) == BATCH:
            self._serialized.append(self._serialize(self._messages, ""))
            self._messages = []
        self._messages.append(message)

    def reply(self, handle: str) -> bytes:
        """
        Return the reply.  To protobuf, messages one after another are one message that holds all their entries.

        Args:
            handle: continues the list.
        """
        rest = self._serialize(self._messages, handle)
        return b"".join((*self._serialized, rest)) if self._serialized else rest


def _serialize_models(messages: "Sequence[api.ModelInfo]", handle: str) -> bytes:
    return api.RetrieveModelsReply(model_infos=messages, next_model_handle=handle).SerializeToString()


def _serialize_versions(messages: "Sequence[api.ModelVersionInfo]", handle: str) -> bytes:
    return api.RetrieveVersionInfosReply(version_infos=messages, next_version_handle=handle).SerializeToString()


models_page = partial(ReplyPage, model_message, _serialize_models, "models_count")
versions_page = partial(ReplyPage, version_message, _serialize_versions, "versions_count")


# A version's data


def frame(data: bytes) -> Chunk:
    """
    Return data in the message of a download.
    """
    return _frame([data], len(data))


def _frame(pieces: Sequence[bytes | memoryview], size_bytes: int) -> Chunk:
    header = field_header(DATA_TAG, size_bytes)
    return Chunk(b"".join((header, *pieces)), len(header))


def body_chunk(message: bytes) -> Chunk:
    """
    Return the data in a message of an upload, not copied if possible.

    Args:
        message: a serialized ``CreateVersionRequestChunk``.

    Raises:
        InvalidRequest: it is not such a message, or one without a body.
    """
    body = content_offset(message, 0, BODY_TAG)
    data = None if body is None else content_offset(message, body, DATA_TAG)
    if data is not None:
        return Chunk(message, data)
    return Chunk(_unusual_body_data(message))


def _unusual_body_data(message: bytes) -> bytes:
    if len(message) > REQUEST_MAX_BYTES:  # the rest of it could take long to parse
        raise InvalidRequest(
            f"a message of {len(message)} bytes is not a body with only a data_chunk; send it in smaller messages, or "
            "as protobuf itself writes it"
        )
    try:
        chunk = api.CreateVersionRequestChunk.FromString(message)
    except DecodeError:
        raise InvalidRequest("a message of the stream is not a CreateVersionRequestChunk") from None
    if chunk.WhichOneof("msg") != "body":
        raise InvalidRequest("after the header, every message of the stream must be a body")
    return chunk.body.data_chunk


@implementer(IChunker)
class Chunker:
    """
    A chunker that cuts the data of an upload, which comes in pieces of any size, into the messages of a download, of
    one size.  The data is copied once.
    """

    def __init__(self, chunk_bytes: int) -> None:
        self._chunk_bytes = chunk_bytes
        self._pieces: list[memoryview] = []
        self._pending_bytes = 0
        self._has_cut = False

    def add(self, data: memoryview) -> Iterator[Chunk]:
        """See ``IChunker.add``."""
        while self._pending_bytes + len(data) >= self._chunk_bytes:
            room = self._chunk_bytes - self._pending_bytes
            self._gather(data[:room])
            data = data[room:]
            yield self._cut()
        self._gather(data)

    def flush(self) -> Iterator[Chunk]:
        """See ``IChunker.flush``."""
        if self._pending_bytes or not self._has_cut:
            yield self._cut()

    def _gather(self, data: memoryview) -> None:
        if data:
            self._pieces.append(data)
            self._pending_bytes += len(data)

    def _cut(self) -> Chunk:
        chunk = _frame(self._pieces, self._pending_bytes)
        self._pieces = []
        self._pending_bytes = 0
        self._has_cut = True
        return chunk
