"""
Protobuf messages to values.
"""

from twisted_registry.protocol.messages import api
from twisted_registry.values import ModelInfo, VersionInfo


def model_info(message: "api.ModelInfo") -> ModelInfo:
    """
    Read a model's info.
    """
    return ModelInfo(message.model_id, dict(message.user_data))


def version_info(message: "api.ModelVersionInfo") -> VersionInfo:
    """
    Read a version's info.
    """
    return VersionInfo(
        model_id=message.model_id,
        version_number=message.version_number,
        created_ns=message.creation_timestamp,
        archived=message.archived,
        data_hash=message.data_hash,
        size_bytes=message.data_size,
        user_data=dict(message.user_data),
    )
