"""
The call that asks how far a creation is.
"""

from twisted_registry.client._transport.records import time_ns, version_record
from twisted_registry.client._transport.registry_api import RegistryApi
from twisted_registry.client._transport.replies import bad_reply
from twisted_registry.client._types import UploadState
from twisted_registry.protocol.messages import v1


async def upload_state(api: RegistryApi, model_id: str, key: str, size_bytes: int | None = None) -> UploadState:
    """
    Return what the server has of a creation.

    Args:
        api: the calls.
        model_id: the model.
        key: the idempotency key of the creation.
        size_bytes: the size of the data, in bytes; ``None`` if it is not known.

    Raises:
        Unsupported: the server keeps no uploads.
        BadReply: the server has more data than there is.
    """
    request = v1.GetUploadRequest(model_id=model_id, idempotency_key=key)
    upload = await api.call("GetUpload", request, v1.Upload, model_id)
    if upload.HasField("version"):
        return UploadState(version_record(upload.version, model_id))
    received = upload.received_bytes
    if size_bytes is not None and received > size_bytes:
        raise bad_reply(f"it has received {received} of {size_bytes} bytes", model_id)
    return UploadState(None, received, time_ns(upload.expire_time) if received else None)
