"""
Uploads of versions.
"""

import time
from functools import partial
from uuid import uuid4

from attrs import define, evolve, field

from twisted_registry.client._transfer.attempt import Attempt, SourceFailed
from twisted_registry.client._transfer.create_reconciler import CreateReconciler
from twisted_registry.client._transfer.hashing import Hashing
from twisted_registry.client._transfer.sources import Source
from twisted_registry.client._transfer.wires import CogmentWire, RegistryWire, UploadWire
from twisted_registry.client._transport.calls import Calls
from twisted_registry.client._transport.final_status import NO_STATUS
from twisted_registry.client._transport.proxies import has_lost_answer, lost_answer
from twisted_registry.client._transport.queries import Queries
from twisted_registry.client._transport.registry_api import RegistryApi, unsupported
from twisted_registry.client._transport.retries import had_no_effect, is_retryable, is_retryable_forever, retry
from twisted_registry.client._transport.uploads import upload_state
from twisted_registry.client._types import Progress
from twisted_registry.client.errors import (
    CorruptTransfer,
    CreationUncertain,
    DataChanged,
    ModelReplaced,
    RegistryError,
    Unavailable,
    UnknownModel,
    Unreachable,
    Unsupported,
    WrongOffset,
)
from twisted_registry.domain.creation import NO_DETAILS, CreationDetails
from twisted_registry.domain.idempotency import check_same_creation
from twisted_registry.domain.models import VersionHeader, VersionInfo
from twisted_registry.protocol.call_metadata import IDEMPOTENCY_STATUS

RESUMABLE_BYTES = 32 * 1024 * 1024
"""Smaller data is sent again from its beginning: to keep an unfinished upload costs the server some milliseconds."""

_MOST_LOST_ANSWERS = 3


async def hash_of_source(source: Source) -> str:
    """
    Return the SHA-256 of a source's data, in base64.
    """
    sha256 = Hashing()
    async for piece in source.pieces():
        await sha256.add(piece)
    return await sha256.result()


@define
class Upload:
    """
    The creation of a version, over as many attempts as it takes.

    All attempts have the same idempotency key.  If the answer to a complete attempt is lost, and the server remembers
    keys, the version is simply sent again, and the server returns the version that it may have created already.

    If ``twisted_registry.v1`` is used, the server is first asked how much of it has arrived, and the rest alone is
    sent.

    Attributes:
        _details: what only ``twisted_registry.v1`` can set.
        _uses_v1: whether to use ``twisted_registry.v1``, if the server has it.
        _may_have_begun: whether the server may know the key.
        _progress: called with the number of bytes sent; with a negative number when a new attempt starts.
        _lost: how the answer to a complete attempt was lost; empty if none was.
    """

    _calls: Calls
    _header: VersionHeader
    _source: Source
    _progress: Progress
    _details: CreationDetails = NO_DETAILS
    _uses_v1: bool = False
    _may_have_begun: bool = False
    _attempt: Attempt | None = None
    _reported_bytes: int = 0
    _lost_answers: int = 0
    _lost: str = ""
    _key: str = field(factory=lambda: uuid4().hex)

    def use_key(self, key: str) -> None:
        """
        Use a key that an earlier upload of the same version may have used, in this or another process.
        """
        self._key, self._may_have_begun = key, True

    async def create(self) -> VersionInfo:
        """
        Create the version.

        Raises:
            RegistryError: see ``Client.publish``.
            Exception: the source's own error.
        """
        try:
            subject = (self._calls.connection.address, self._header.model_id)
            return await retry(self._try, self._calls.options.retry_seconds, self._is_worth_it, subject)
        except CreationUncertain:
            raise
        except (SourceFailed, RegistryError) as error:
            raise self._final(error) from None
        finally:
            self._attempt = None  # it refers to this upload, and the cycle would keep the data alive

    def _final(self, error: SourceFailed | RegistryError) -> Exception:
        """
        Return the error for the caller, after the last attempt.
        """
        if self._lost and not isinstance(error, UnknownModel | ModelReplaced | CorruptTransfer):
            return CreationUncertain(self._header.model_id, self._lost, is_absent=False)
        if isinstance(error, SourceFailed):
            return error.error
        if isinstance(error, Unavailable):
            return evolve(error, reason=f"{error.reason}; no version was created")
        return error

    def _is_worth_it(self, error: BaseException) -> bool:
        # Data that cannot be sent again may have arrived.
        may_exist = self._uses_v1 and self._lost != ""
        return (is_retryable(error) or isinstance(error, WrongOffset)) and (self._can_be_sent or may_exist)

    @property
    def _can_be_sent(self) -> bool:
        return self._source.repeatable or self._attempt is None or not self._attempt.has_started

    async def _try(self) -> VersionInfo:
        if self._uses_v1:
            try:
                return await self._try_to_resume()
            except Unsupported:
                await self._fall_back()
        attempt = self._new_attempt(CogmentWire(self._key), 0)
        try:
            return await attempt.send()
        except Unreachable as error:  # nothing was sent
            raise await self._calls.connection.diagnosed(error) from None
        except Unavailable as error:
            lost = time.monotonic()
            if has_lost_answer(error) or (NO_STATUS in error.reason and not attempt.is_complete):
                await self._check_answers(attempt)
            elif attempt.is_complete and not had_no_effect(error):
                if await self._can_repeat(str(error)):
                    self._lost = self._lost or str(error)
                elif (info := await self._reconcile(attempt, lost, str(error))) is not None:
                    return info
            raise

    async def _fall_back(self) -> None:
        """
        Use Cogment's service from now on.

        Raises:
            Unsupported: the version has properties that the service lacks.
            CreationUncertain: another server may have created the version, and this one does not know its key.
        """
        if self._details != NO_DETAILS:
            reason = unsupported("CreateVersion").reason
            raise Unsupported(f"{reason}; without labels, metrics and aliases, the version could be created")
        self._uses_v1 = False
        self._calls.connection.lacks_resumable_uploads = True
        if self._lost and not await self._can_repeat(self._lost):
            raise CreationUncertain(self._header.model_id, self._lost, is_absent=False)

    def _new_attempt(self, wire: UploadWire, offset: int) -> Attempt:
        self._report(offset - self._reported_bytes)
        options, connection = self._calls.options, self._calls.connection
        self._attempt = Attempt(
            connection, self._header, self._source, wire, self._report, options.idle_seconds, offset
        )
        return self._attempt

    async def _try_to_resume(self) -> VersionInfo:
        """
        Send what the server has not received yet.

        Raises:
            Unsupported: the server has no resumable uploads.
        """
        offset = 0
        if self._may_have_begun:
            api = RegistryApi(self._calls.without_retries())
            state = await upload_state(api, self._header.model_id, self._key, self._header.size_bytes)
            if state.version is not None and not self._may_be_another(state.version.info):
                return await self._created(state.version.info)
            if not self._can_be_sent:
                raise Unavailable(self._lost)
            offset = state.received_bytes if self._source.repeatable else 0
        self._may_have_begun = True
        attempt = self._new_attempt(RegistryWire(self._key, offset, self._details), offset)
        try:
            return await attempt.send()
        except Unreachable as error:
            raise await self._calls.connection.diagnosed(error) from None
        except Unavailable as error:
            if has_lost_answer(error) or (NO_STATUS in error.reason and not attempt.is_complete):
                await self._check_answers(attempt)
            elif attempt.is_complete and not had_no_effect(error):
                self._lost = self._lost or str(error)
            raise

    def _may_be_another(self, info: VersionInfo) -> bool:
        """
        Return whether only the server knows if a version is the one to create: if another process has created it, and
        it is archived, it may have been transient at first.
        """
        return self._attempt is None and info.archived and not self._header.archived

    async def _created(self, info: VersionInfo) -> VersionInfo:
        """
        Return the version that an earlier attempt has created.

        Raises:
            InvalidRequest: the key was used before, for another version.
            CorruptTransfer: it has other data.
        """
        header, sha256 = self._header, await self._sha256()
        if self._attempt is None:
            # A version that has been annotated since is the same.
            check_same_creation(evolve(header, created_ns=0), sha256, info)
        elif info.sha256 != sha256 or (header.archived and not info.archived):
            raise CorruptTransfer(info.model_id, info.version_number, "other bytes were stored than were sent")
        self._report(self._header.size_bytes - self._reported_bytes)
        self._calls.connection.memory.saw(info.model_id, info.version_number)
        return info

    async def _sha256(self) -> str:
        if self._header.sha256:
            return self._header.sha256
        if self._attempt is not None and self._attempt.is_complete:
            return await self._attempt.sha256()
        return await hash_of_source(self._source)

    async def _can_repeat(self, lost: str) -> bool:
        """
        Return whether the version can be sent again safely, because the server remembers the key of the first attempt.

        Raises:
            CreationUncertain: the server could not be asked.
        """
        retry_seconds = self._calls.options.retry_seconds
        if not (self._source.repeatable and retry_seconds):
            return False
        ask = partial(Queries(self._calls.without_retries()).statuses, IDEMPOTENCY_STATUS)
        subject = (self._calls.connection.address, self._header.model_id)
        try:
            statuses = await retry(ask, retry_seconds, is_retryable_forever, subject)
        except Unsupported:
            return False
        except RegistryError:
            raise CreationUncertain(self._header.model_id, lost, is_absent=False) from None
        kind = "archived" if self._header.archived else "transient"
        return kind in statuses.get(IDEMPOTENCY_STATUS, "").split(",")

    async def _reconcile(self, attempt: Attempt, lost: float, reason: str) -> VersionInfo | None:
        try:
            sha256 = await attempt.sha256()
        except DataChanged:
            raise CreationUncertain(self._header.model_id, reason, is_absent=False) from None
        calls, retry_seconds = self._calls.without_retries(), self._calls.options.retry_seconds
        reconciler = CreateReconciler(calls, retry_seconds, self._header, self._key, lost, sha256)
        return await reconciler.reconcile(reason)

    async def _check_answers(self, attempt: Attempt) -> None:
        """
        Decide whether to try again if the server answered before all data was sent, and gRPC lost the answer.

        Usually it is the answer of a proxy: the upload is too large for it, or it cannot reach the registry at present.
        Another call shows whether the registry can be reached; another attempt may bring the answer again.

        Raises:
            ProxyRefused: another attempt will not succeed.
            RegistryError: the error of the other call.
        """
        await Queries(self._calls.without_retries()).server_versions()
        self._lost_answers += 1
        # After all data was sent, the registry may have received it before a proxy answered: it is not sent again.
        is_over = attempt.is_complete or not self._source.repeatable or not self._calls.options.retry_seconds
        if is_over or self._lost_answers == _MOST_LOST_ANSWERS:
            raise lost_answer(self._calls.connection.address)

    def _report(self, size_bytes: int) -> None:
        if size_bytes:
            self._reported_bytes += size_bytes
            self._progress(size_bytes)
