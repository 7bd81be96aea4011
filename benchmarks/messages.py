"""
The messages of the clients here, and the answers of the ceiling: serialized once, so that no protobuf is measured.
"""

import hashlib
import struct
from base64 import b64encode
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import count

from twisted_registry.config.network import DEFAULT_CHUNK_SIZE_BYTES
from twisted_registry.protocol.messages import REGISTRY_SERVICE_NAME, SERVICE_NAME, api, v1
from twisted_registry.rpc.services.cogment.codec import frame

KIB = 1024
MIB = 1024 * KIB

SIZES = (KIB, 10 * KIB, MIB, 10 * MIB, 100 * MIB)
"""Of the versions measured, in bytes."""

PAGE_LENGTH = 100
_FEW_VERSIONS = 100
"""How many the ceiling's models are said to have."""

PIECE_BYTES = MIB
"""Data in each message of an upload."""

_UNLIKE = count()

_CREATED_NS = 1_600_000_000_000_000_000


def path(method: str) -> str:
    """
    Name a call as HTTP/2 does.
    """
    return f"/{SERVICE_NAME}/{method}"


def prefixed(message: bytes) -> bytes:
    """
    Put the prefix before a message that gRPC sends it with.
    """
    return b"\x00" + struct.pack(">I", len(message)) + message


def model_of(size_bytes: int) -> str:
    """
    Name the model whose versions have a size.
    """
    return f"of-{size_bytes}"


@cache
def data(size_bytes: int) -> bytes:
    """
    Make a version's data: no two kilobytes of it are alike.
    """
    return hashlib.shake_128(b"data").digest(min(size_bytes, PIECE_BYTES))


def pieces(size_bytes: int) -> Iterator[bytes]:
    whole, rest = divmod(size_bytes, PIECE_BYTES)
    piece = data(PIECE_BYTES)
    yield from (piece for _ in range(whole))
    if rest:
        yield piece[:rest]


@cache
def data_hash(size_bytes: int) -> str:
    """
    Return the SHA-256 of a version's data in the wire's form.
    """
    sha256 = hashlib.sha256()
    for piece in pieces(size_bytes):
        sha256.update(piece)
    return b64encode(sha256.digest()).decode()


# What clients send.


def save_request(model_id: str) -> list[bytes]:
    """
    Make a model.
    """
    request = api.CreateOrUpdateModelRequest(model_info=api.ModelInfo(model_id=model_id))
    return [prefixed(request.SerializeToString())]


def upload(model_id: str, size_bytes: int, *, archived: bool) -> list[bytes]:
    """
    Create a version.  Its pieces are one and the same in memory.
    """
    info = api.ModelVersionInfo(model_id=model_id, archived=archived, data_size=size_bytes)
    header = api.CreateVersionRequestChunk(header=api.CreateVersionRequestChunk.Header(version_info=info))
    bodies = {
        piece: prefixed(
            api.CreateVersionRequestChunk(body=api.CreateVersionRequestChunk.Body(data_chunk=piece)).SerializeToString()
        )
        for piece in set(pieces(size_bytes))
    }
    return [prefixed(header.SerializeToString()), *(bodies[piece] for piece in pieces(size_bytes))]


def latest_request(model_id: str) -> bytes:
    """
    Ask for the latest version's info.
    """
    return api.RetrieveVersionInfosRequest(model_id=model_id, version_numbers=[-1]).SerializeToString()


def page_request(model_id: str, start: int, length: int = PAGE_LENGTH) -> bytes:
    """
    Ask for a page of infos.
    """
    request = api.RetrieveVersionInfosRequest(model_id=model_id, versions_count=length, version_handle=str(start))
    return request.SerializeToString()


def search_request(model_id: str, filter_text: str, order: str, length: int) -> bytes:
    """
    Search the versions of a model.
    """
    request = v1.ListVersionsRequest(model_id=model_id, filter=filter_text, order_by=order, page_size=length)
    return request.SerializeToString()


def unlike(request: bytes, times: int) -> list[list[bytes]]:
    """
    Make requests that say the same in other bytes than any before, by a field that nobody knows: no reply can be used a
    second time.
    """
    return [[prefixed(request + b"\x7a\x04" + next(_UNLIKE).to_bytes(4, "big"))] for _ in range(times)]


def data_request(model_id: str, number: int = -1) -> bytes:
    """
    Return a request for a version's data, by default the latest one's.
    """
    return api.RetrieveVersionDataRequest(model_id=model_id, version_number=number).SerializeToString()


def update_request(model_id: str) -> bytes:
    """
    Subscribe to a model.
    """
    return api.VersionUpdateRequest(model_id=model_id).SerializeToString()


# What clients send to the registry's own API.


def registry_path(method: str) -> str:
    """
    Name a call of the registry's own API as HTTP/2 does.
    """
    return f"/{REGISTRY_SERVICE_NAME}/{method}"


def archive_request(model_id: str, number: int) -> bytes:
    """
    Promote a version.
    """
    return v1.ArchiveVersionRequest(reference=f"{model_id}@{number}").SerializeToString()


def alias_request(model_id: str, number: int, alias: str) -> bytes:
    """
    Move an alias.
    """
    return v1.SetAliasRequest(reference=f"{model_id}@{number}", alias=alias).SerializeToString()


def watch_aliases_request(model_id: str) -> bytes:
    """
    Watch the aliases of a model.
    """
    return v1.WatchEventsRequest(model_id=model_id, kinds=["alias_moved"]).SerializeToString()


# What the ceiling answers.


def _info(model_id: str, number: int, size_bytes: int) -> "api.ModelVersionInfo":
    return api.ModelVersionInfo(
        model_id=model_id,
        version_number=number,
        creation_timestamp=_CREATED_NS,
        archived=True,
        data_hash=data_hash(size_bytes),
        data_size=size_bytes,
    )


def created_reply(model_id: str, size_bytes: int) -> bytes:
    """
    Return the reply to a creation.
    """
    return api.CreateVersionReply(version_info=_info(model_id, _FEW_VERSIONS, size_bytes)).SerializeToString()


def update_reply(model_id: str, size_bytes: int) -> bytes:
    """
    Return an update for a subscriber.
    """
    return api.VersionUpdateReply(version_info=_info(model_id, _FEW_VERSIONS, size_bytes)).SerializeToString()


def latest_reply(model_id: str, size_bytes: int) -> bytes:
    """
    Return a reply with the info of the latest version.
    """
    return infos_reply(model_id, [_FEW_VERSIONS], size_bytes)


def infos_reply(model_id: str, numbers: Iterable[int], size_bytes: int) -> bytes:
    """
    Return a reply with infos.
    """
    infos = [_info(model_id, number, size_bytes) for number in numbers]
    return api.RetrieveVersionInfosReply(
        version_infos=infos, next_version_handle=str(infos[-1].version_number + 1)
    ).SerializeToString()


def data_frames(size_bytes: int) -> list[bytes]:
    """
    Return a version's data in messages as the registry sends it by default.
    """
    whole, rest = divmod(size_bytes, DEFAULT_CHUNK_SIZE_BYTES)
    lengths = [DEFAULT_CHUNK_SIZE_BYTES] * whole + ([rest] if rest else [])
    made = {length: frame(bytes(length)).buffer for length in set(lengths)}
    return [made[length] for length in lengths]


def received_bytes(size_bytes: int) -> int:
    """
    Return the size of all messages of a download, with their prefixes, in bytes.
    """
    return sum(len(prefixed(message)) for message in data_frames(size_bytes))
