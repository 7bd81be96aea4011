"""
Replies as values, each checked against the request.
"""

import re
from typing import Final

from twisted_registry.client.errors import BadReply
from twisted_registry.domain.errors import shown
from twisted_registry.domain.models import MAX_VERSION_NUMBER, ModelInfo, VersionInfo
from twisted_registry.protocol.framing import has_more_fields
from twisted_registry.protocol.messages import api

MOST_REPLY_BYTES: Final = 64 * 1024 * 1024
"""The largest reply of a registry."""

_MOST_SMALL_BYTES: Final = 4 * 1024 * 1024
"""The largest reply about one model or version: stock gRPC clients refuse larger ones."""

_LARGE_BYTES: Final = 64 * 1024
_MOST_OTHER_FIELDS: Final = 16

MOST_DATA_BYTES: Final = 2**63 - 1
"""The most bytes that a version may have."""
_SHA256 = re.compile("[A-Za-z0-9+/]{43}=")


def bad_reply(problem: str, model_id: str = "", selector: int | None = None) -> BadReply:
    """
    Return the error for a reply that does not fit the request.

    Args:
        problem: what is wrong with the reply, as a clause.
        model_id: the model that was asked for; empty for all.
        selector: the version that was asked for; ``None`` for several, or for the model.
    """
    if not model_id:
        return BadReply("models, or for facts about itself", problem)
    version = "" if selector is None else f"version {selector} of "
    return BadReply(f"{version}model {shown(model_id)}", problem)


def check_size(raw: bytes, most: int, model_id: str = "", selector: int | None = None) -> None:
    """
    Check the size of a reply before it is parsed: many small entries take far more memory as objects.

    Args:
        raw: the reply.
        most: how many entries were asked for.
        model_id: the model that was asked for; empty for all.
        selector: the version that was asked for; ``None`` for several, or for the model.

    Raises:
        BadReply: it is too large, or has more entries.
    """
    if len(raw) < _LARGE_BYTES:
        return
    limit = _MOST_SMALL_BYTES if most == 1 else MOST_REPLY_BYTES
    if len(raw) > limit:
        raise bad_reply(f"its reply has {len(raw)} bytes, and the limit is {limit}", model_id, selector)
    if has_more_fields(raw, most + _MOST_OTHER_FIELDS):
        raise bad_reply(f"its reply has more than the {most} entries asked for", model_id, selector)


def model_info(message: "api.ModelInfo", model_id: str = "") -> ModelInfo:
    """
    Return a model's info.

    Args:
        message: the info as it was sent.
        model_id: the model that was asked for; empty for any.

    Raises:
        BadReply: it is about another model, or has no id.
    """
    found = message.model_id
    if model_id and found != model_id:
        raise bad_reply(f"it sent model {shown(found)}", model_id)
    if not found:
        raise bad_reply("it sent a model without an id", model_id)
    # Other implementations of the server allow ids that this one refuses.
    return ModelInfo(found, dict(message.user_data))


def version_info(message: "api.ModelVersionInfo", model_id: str, selector: int | None = None) -> VersionInfo:
    """
    Return a version's info.

    Args:
        message: the info as it was sent.
        model_id: the model that was asked for.
        selector: the version that was asked for; ``None`` for any.

    Raises:
        BadReply: it is about another version, or has impossible values.
    """
    number, size_bytes, data_hash = message.version_number, message.data_size, message.data_hash
    if message.model_id != model_id or (selector is not None and number != selector > 0):
        raise bad_reply(f"it sent version {number} of model {shown(message.model_id)}", model_id, selector)
    if not 1 <= number <= MAX_VERSION_NUMBER:
        raise bad_reply(f"it sent a version with the number {number}", model_id, selector)
    if size_bytes > MOST_DATA_BYTES or not _SHA256.fullmatch(data_hash):
        problem = (
            f"it sent a size of {size_bytes} bytes and the hash {shown(data_hash)}, not a size and a SHA-256 in base64"
        )
        raise bad_reply(problem, model_id, selector)
    return VersionInfo(
        model_id=model_id,
        version_number=number,
        created_ns=message.creation_timestamp,
        archived=message.archived,
        sha256=data_hash,
        size_bytes=size_bytes,
        metadata=dict(message.user_data),
    )
