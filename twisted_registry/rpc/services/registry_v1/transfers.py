"""
The calls of ``twisted_registry.v1.Registry`` that move the data of versions.

A chunk has the field number of a ``RetrieveVersionDataReplyChunk``, so the messages that are kept in memory are sent to
the clients of both services.
"""

from typing import Any

from attrs import frozen

from twisted_registry.application.reads import ReadRequest, Reads
from twisted_registry.domain.ranges import ByteRange
from twisted_registry.domain.records import VersionRecord
from twisted_registry.protocol.call_metadata import checksum_metadata
from twisted_registry.protocol.messages import v1
from twisted_registry.rpc.budgets import ReplyBudget
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.services.registry_v1 import codec

_IDENTITY = "identity"


@frozen
class ReadCalls:
    """
    The call that reads a version.
    """

    _reads: Reads
    _reply_budget: ReplyBudget

    async def read(self, request: Any, call: CallContext) -> None:
        """
        Send a version's data, or a part of it.
        """
        wanted = ReadRequest(codec.reference(request.reference), request.offset, request.length)
        sent = await self._reads.send(wanted, self._reply_budget.receiver(call), read_header)
        if sent is not None:
            call.set_trailing_metadata(checksum_metadata(sent.info.size_bytes, sent.info.sha256, sent.xxh3))


def read_header(record: VersionRecord, part: ByteRange) -> bytes:
    """
    Return the message that precedes the data of a version.
    """
    header = v1.ReadVersionHeader(
        version=codec.version(record), encoding=_IDENTITY, offset=part.offset, length=part.length
    )
    return v1.ReadVersionResponse(header=header).SerializeToString()
