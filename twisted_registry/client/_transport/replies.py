"""
Protobuf messages to values, each compared with what was asked for.
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
"""The largest reply about one thing: a stock client takes no larger one."""

_LARGE_BYTES: Final = 64 * 1024
_MOST_OTHER_FIELDS: Final = 16

_MOST_DATA_BYTES: Final = 2**63 - 1
_SHA256 = re.compile("[A-Za-z0-9+/]{43}=")


def bad_reply(told: str, model_id: str = "", selector: int | None = None) -> BadReply:
    """
    Return the error for a reply that does not fit the question.

    Args:
        told: what is wrong with the reply.
        model_id: the model that was asked about; empty for all.
        selector: the version that was asked for; ``None`` for several, or for the model.
    """
    if not model_id:
        return BadReply("models, or for what it is", told)
    version = "" if selector is None else f"version {selector} of "
    return BadReply(f"{version}model {shown(model_id)}", told)


def check_size(raw: bytes, most: int, model_id: str = "", selector: int | None = None) -> None:
    """
    Check the size of a reply before it is parsed: in memory, many small entries take far more than they do here.

    Args:
        most: how many entries were asked for.

    Raises:
        BadReply: it is too large, or holds more.
    """
    if len(raw) < _LARGE_BYTES:
        return
    limit = _MOST_SMALL_BYTES if most == 1 else MOST_REPLY_BYTES
    if len(raw) > limit:
        raise bad_reply(f"its reply has {len(raw)} bytes, and at most {limit} are taken", model_id, selector)
    if has_more_fields(raw, most + _MOST_OTHER_FIELDS):
        raise bad_reply(f"its reply holds more than the {most} entries asked for", model_id, selector)


def model_info(message: "api.ModelInfo", model_id: str = "") -> ModelInfo:
    """
    Read a model's info.

    Args:
        model_id: the model that was asked for; empty for any.

    Raises:
        BadReply: it is of another model, or of none.
    """
    told = message.model_id
    if model_id and told != model_id:
        raise bad_reply(f"told of model {shown(told)}", model_id)
    if not told:
        raise bad_reply("told of a model without an id", model_id)
    # Registries of other makes take ids that this one refuses.
    return ModelInfo(told, dict(message.user_data))


def version_info(message: "api.ModelVersionInfo", model_id: str, selector: int | None = None) -> VersionInfo:
    """
    Read a version's info.

    Args:
        model_id: the model that was asked about.
        selector: the version that was asked for; ``None`` for any.

    Raises:
        BadReply: it is of another version, or of none that can be.
    """
    number, size_bytes, data_hash = message.version_number, message.data_size, message.data_hash
    if message.model_id != model_id or (selector is not None and number != selector > 0):
        raise bad_reply(f"told of version {number} of model {shown(message.model_id)}", model_id, selector)
    if not 1 <= number <= MAX_VERSION_NUMBER:
        raise bad_reply(f"told of a version with the number {number}", model_id, selector)
    if size_bytes > _MOST_DATA_BYTES or not _SHA256.fullmatch(data_hash):
        told = f"told of {size_bytes} bytes with the hash {shown(data_hash)}, which is no SHA-256 in base64 or no size"
        raise bad_reply(told, model_id, selector)
    return VersionInfo(
        model_id=model_id,
        version_number=number,
        created_ns=message.creation_timestamp,
        archived=message.archived,
        sha256=data_hash,
        size_bytes=size_bytes,
        metadata=dict(message.user_data),
    )
