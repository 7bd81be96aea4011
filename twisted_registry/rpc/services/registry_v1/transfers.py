"""
The calls of ``twisted_registry.v1.Registry`` that move the data of versions.

A chunk has the field number of a ``RetrieveVersionDataReplyChunk``, so the messages that are kept in memory are sent to
the clients of both services.  The data of an upload does not pass protobuf either.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from attrs import frozen

from twisted_registry.application.copies import Copies, CopyRequest
from twisted_registry.application.creations import CreationRequest, Creations
from twisted_registry.application.reads import ReadRequest, Reads
from twisted_registry.domain.annotations import Annotations
from twisted_registry.domain.creation import MAX_ALIASES, CreationDetails
from twisted_registry.domain.errors import InvalidRequest
from twisted_registry.domain.idempotency import key_of_caller
from twisted_registry.domain.models import Chunk
from twisted_registry.domain.ranges import ByteRange
from twisted_registry.domain.records import VersionRecord
from twisted_registry.protocol.call_metadata import checksum_metadata
from twisted_registry.protocol.framing import content_offset
from twisted_registry.protocol.limits import REQUEST_MAX_BYTES
from twisted_registry.protocol.messages import v1
from twisted_registry.rpc.budgets import ReplyBudget
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.interceptors.call_tracker import host_of
from twisted_registry.rpc.interceptors.idle_timeout import RequestStream
from twisted_registry.rpc.parsing import parse
from twisted_registry.rpc.services.registry_v1 import codec

_IDENTITY = "identity"
_NOTED_ALIAS_CHARACTERS = 128
_CHUNK_TAG = 0x12
"""The ``chunk`` of a ``CreateVersionRequest``."""


@frozen
class TransferCalls:
    """
    The calls that move data.
    """

    _reads: Reads
    _creations: Creations
    _copies: Copies
    _reply_budget: ReplyBudget

    async def read(self, request: Any, call: CallContext) -> None:
        """
        Send a version's data, or a part of it.
        """
        wanted = ReadRequest(codec.reference(request.reference), request.offset, request.length)
        sent = await self._reads.send(wanted, self._reply_budget.receiver(call), read_header)
        if sent is not None:
            call.set_trailing_metadata(checksum_metadata(sent.info.size_bytes, sent.info.sha256, sent.xxh3))
            call.note_used(sent.info)

    async def create(self, messages: RequestStream, call: CallContext) -> Any:
        """
        Create a version from the data that the client sends.
        """
        header = await messages.header()
        if header is None:
            raise InvalidRequest("the stream is empty; it must begin with a header")
        call.note(model_id=header.model_id, archived=header.archived)
        _note_aliases(header.aliases, call)
        request = creation(header, call)
        record = await self._creations.create(request, InterruptibleMessages(messages), chunk)
        call.note(**codec.version_facts(record.info))
        call.set_trailing_metadata(checksum_metadata(record.size_bytes, record.sha256, record.info.xxh3))
        return codec.version(record)

    async def get_upload(self, request: Any, call: CallContext) -> Any:
        """
        Return how far an upload is.
        """
        key = key_of_caller(request.idempotency_key, call.actor)
        status = await self._creations.status(request.model_id, key)
        version = None if status.version is None else codec.version(status.version)
        message = v1.Upload(received_bytes=status.received_bytes, version=version)
        if status.received_bytes:
            message.expire_time.FromNanoseconds(int(status.expires_seconds * 10**9))
        return message

    async def copy(self, request: Any, call: CallContext) -> Any:
        """
        Create a version from the data of another one.
        """
        wanted = CopyRequest(
            codec.reference(request.reference),
            request.model_id,
            not request.transient,
            tuple(request.aliases),
            call.actor,
            request.alias_reason,
            key_of_caller(request.idempotency_key, call.actor),
            self._reply_budget.receiver(call).count,
        )
        call.note(model_id=wanted.model_id, archived=wanted.archived, source=str(wanted.reference))
        _note_aliases(wanted.aliases, call)
        record = await self._copies.copy(wanted)
        call.note(**codec.version_facts(record.info))
        return codec.version(record)


def _note_aliases(aliases: Sequence[str], call: CallContext) -> None:
    if aliases:  # perhaps more, and longer ones, than are allowed
        call.note(aliases=[alias[:_NOTED_ALIAS_CHARACTERS] for alias in aliases[:MAX_ALIASES]])


class InterruptibleMessages:
    """
    The messages of a call, which another call may interrupt.
    """

    def __init__(self, stream: RequestStream) -> None:
        self._stream = stream
        self._reading: asyncio.Task[Any] | None = None
        self._error: Exception | None = None

    async def read(self) -> bytes | None:
        """See ``IMessages.read``."""
        self._check()
        task = self._reading = asyncio.current_task()
        assert task is not None, "a call runs in a task"
        try:
            message: bytes | None = await self._stream.read()
        except asyncio.CancelledError:
            if self._error is not None and not task.uncancel():
                raise self._error from None
            raise
        finally:
            self._reading = None
        return message

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def interrupt(self, error: Exception) -> None:
        """See ``IMessages.interrupt``."""
        if self._error is None:
            self._error = error
            if self._reading is not None:
                self._reading.cancel()


# Requests


def creation(header: Any, call: CallContext) -> CreationRequest:
    """
    Return what a header of a ``CreateVersion`` stream asks for.

    Raises:
        InvalidRequest: it has too much metadata, or a sha256 of the wrong length.
    """
    annotations = Annotations(dict(header.labels), dict(header.metrics))
    return CreationRequest(
        codec.version_header(header),
        CreationDetails(annotations, tuple(header.aliases), call.actor, header.alias_reason),
        key_of_caller(header.idempotency_key, call.actor),
        header.offset,
        owner=host_of(call.peer),
        seen=call.seen(header.model_id),
        is_permitted=lambda: call.refusal is None,
    )


def creation_header(raw: bytes) -> Any:
    """
    Return the header in the first message of a ``CreateVersion`` stream.

    Raises:
        TooLarge: it is too long.
        InvalidRequest: it is not a header.
    """
    message = parse(v1.CreateVersionRequest, raw)
    if message.WhichOneof("content") != "header":
        raise InvalidRequest("the first message of the stream must be a header")
    return message.header


def chunk(message: bytes) -> Chunk:
    """
    Return the data in a later message of a ``CreateVersion`` stream, not copied if possible.

    Raises:
        InvalidRequest: it is not a chunk.
    """
    data = content_offset(message, 0, _CHUNK_TAG)
    return Chunk(_unusual_chunk(message)) if data is None else Chunk(message, data)


def _unusual_chunk(message: bytes) -> bytes:
    if len(message) > REQUEST_MAX_BYTES:  # the rest of it could take long to parse
        raise InvalidRequest(
            f"a message of {len(message)} bytes is not only a chunk; send it in smaller messages, or as protobuf "
            "itself writes it"
        )
    request = parse(v1.CreateVersionRequest, message)
    if request.WhichOneof("content") != "chunk":
        raise InvalidRequest("after the header, every message of the stream must be a chunk")
    data: bytes = request.chunk
    return data


# Replies


def read_header(record: VersionRecord, part: ByteRange) -> bytes:
    """
    Return the message that precedes the data of a version.
    """
    header = v1.ReadVersionHeader(
        version=codec.version(record), encoding=_IDENTITY, offset=part.offset, length=part.length
    )
    return v1.ReadVersionResponse(header=header).SerializeToString()
