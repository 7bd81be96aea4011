"""
Sent and received messages as values of the model.
"""

from collections.abc import Mapping
from typing import Any

import grpc

from tests.robustness.oracles.acts import ABSENT, State, Version, items
from tests.support.client import Client, data_hash


def make_data(token: str, size_bytes: int) -> bytes:
    """
    Make the data of a version: a token, repeated.
    """
    word = f"{token} ".encode()
    return (word * (size_bytes // len(word) + 1))[:size_bytes]


def sent_version(data: bytes, archived: bool, metadata: Mapping[str, str] | None = None) -> Version:
    """
    Return a version as its creator sends it.
    """
    return Version(0, data_hash(data), len(data), archived, items(metadata or {}))


def version_of(info: Any) -> Version:
    """
    Return a version as the registry describes it.
    """
    facts = info.data_hash, info.data_size, info.archived, items(info.user_data)
    return Version(info.version_number, *facts, info.creation_timestamp)


def versions_of(reply: Any) -> tuple[Version, ...]:
    """
    Return a list of versions.
    """
    return tuple(map(version_of, reply.version_infos))


def read_model(client: Client, model_id: str) -> State:
    """
    Read all of a model but its data.
    """
    try:
        (info,) = client.models(model_id).model_infos
    except grpc.RpcError as error:
        refused: Any = error
        if refused.code() is grpc.StatusCode.NOT_FOUND:
            return ABSENT
        raise
    return State(True, items(info.user_data), versions_of(client.infos(model_id)))
