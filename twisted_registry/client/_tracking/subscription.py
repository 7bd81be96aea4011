"""
The subscription of a tracker of a model, over as many calls as it takes.
"""

from contextlib import suppress
from typing import Any

from grpc.aio import EOF  # type: ignore[attr-defined]  # its stubs leave it out

from twisted_registry.client._tracking.base import SubscriptionBase
from twisted_registry.client._transport.calls import Calls, cancel_call, decoded
from twisted_registry.client._transport.replies import bad_reply, check_size, version_info
from twisted_registry.client._transport.requests import sendable_model_id
from twisted_registry.client._transport.retry_log import retry_log
from twisted_registry.client.errors import (
    CorruptVersion,
    ModelReplaced,
    Unavailable,
    UnknownModel,
    UnknownVersion,
)
from twisted_registry.domain.models import VersionInfo
from twisted_registry.protocol.messages import api


class Subscription(SubscriptionBase):
    """
    A subscription to the latest version of a model.  The position is the highest number that was announced.
    """

    def __init__(self, calls: Calls, model_id: str) -> None:
        super().__init__(calls, model_id)
        self._call: Any = None
        self._has_announced = False
        self._announced: VersionInfo | None = None

    async def open(self) -> None:
        """
        Subscribe, and query the latest version: a subscription to a model without versions announces nothing, and after
        an absence of the server, the latest version known may be gone.

        Raises:
            UnknownModel: there is no such model.
            ModelReplaced: the model was deleted and created again.
        """
        connection = self._calls.connection
        request = api.VersionUpdateRequest(model_id=sendable_model_id(self._model_id))
        metadata = (*connection.subscription_metadata, *connection.memory.metadata_about(self._model_id))
        self._call = connection.subscribe("VersionUpdate", request.SerializeToString(), metadata)
        self._has_announced = False
        self._announced = None
        try:
            self._update(await self._query())
        except BaseException:
            self.close()
            raise
        self._set_connected(True)
        retry_log.succeeded(self.subject)
        self._log_missed()

    async def _receive(self) -> None:
        info = await self._read()
        if self.latest is None or info.version_number > self.latest.version_number:
            self._update(info)

    def close(self) -> None:
        """
        Cancel the call.
        """
        call, self._call = self._call, None
        self._set_connected(False)
        cancel_call(call)

    async def _query(self) -> VersionInfo | None:
        with suppress(UnknownVersion):
            try:
                return await self._queries.version(self._model_id, -1)
            except CorruptVersion:
                return self.latest  # the subscription announces it
        return None

    def _update(self, info: VersionInfo | None) -> None:
        if _are_of_different_models(self.latest, info):
            raise ModelReplaced(self._model_id)
        self.latest = info
        if info is not None:
            self.position = info.version_number
            self._calls.connection.memory.saw(self._model_id, info.version_number)
        self.changed.set()

    async def _read(self) -> VersionInfo:
        try:
            return await self._next()
        except UnknownModel:
            if self._has_announced:
                raise
            # The subscription may have reached the server before the model.  If the model is gone, opening fails.
            await self.open()
            return await self._next()

    async def _next(self) -> VersionInfo:
        if self._call is None:
            await self.open()
        connection = self._calls.connection
        try:
            with connection.translating_errors(self._model_id):
                raw = await self._call.read()
        except BaseException:
            self.close()
            raise
        if raw is EOF:
            self.close()
            raise Unavailable(f"the server at {connection.address} ended the subscription")
        self._has_announced = True
        check_size(raw, 1, self._model_id)
        info = version_info(decoded(api.VersionUpdateReply, raw).version_info, self._model_id)
        if _goes_back(self._announced, info):
            raise bad_reply(f"its subscription announced version {info.version_number} again, or late", self._model_id)
        self._announced = info
        return info


def _goes_back(before: VersionInfo | None, info: VersionInfo) -> bool:
    # The numbers of one subscription only rise; announcing the same version twice is harmless.
    return before is not None and info.version_number <= before.version_number and info != before


def _are_of_different_models(one: VersionInfo | None, other: VersionInfo | None) -> bool:
    # A model that is deleted and created again counts from 1, so at the same number the versions differ.
    return (
        one is not None
        and other is not None
        and one.version_number == other.version_number
        and (one.created_ns, one.sha256) != (other.created_ns, other.sha256)
    )
