"""
Unfinished uploads that are kept for a while, so that their creators can go on with them.
"""

from collections import OrderedDict
from collections.abc import Callable

from attrs import define, field, frozen

from twisted_registry.contracts.application import IEvent, IRuntime
from twisted_registry.contracts.registry import IRegistry
from twisted_registry.contracts.transfers import IUpload
from twisted_registry.domain.errors import StorageFull
from twisted_registry.domain.events import ModelDeleted, StorageFailed
from twisted_registry.domain.kept import KeptData, UnfinishedLimits, first_of_too_many, first_of_too_much

UploadKey = tuple[str, str]
"""A model's id, and an idempotency key."""


LEAST_BYTES = 1024 * 1024
"""Less than this is not kept of an upload."""


@frozen
class KeptLimits:
    """
    Limits on what is kept.  ``twisted_registry.domain.kept`` has the rules by which uploads are dropped.

    Attributes:
        memory_bytes: the most memory for transient versions.
        archive: the limits on all uploads, and on those of archived versions.
        least_bytes: less is not kept: to send it again costs less than to keep it.
    """

    memory_bytes: int
    archive: UnfinishedLimits = field(factory=UnfinishedLimits)
    least_bytes: int = LEAST_BYTES

    @property
    def seconds(self) -> float:
        """
        How long an upload is kept.
        """
        return self.archive.seconds


@define(eq=False)
class UnfinishedTransfer:
    """
    An upload and how far it is.

    Attributes:
        owner: the address of the client.
        received_bytes: how many bytes were written.
        is_restored: whether what an earlier process has written was hashed.
        is_committing: whether the commit has begun.
        is_suspended: whether it was kept, and its data may have been dropped since.
    """

    upload: IUpload
    owner: str = ""
    received_bytes: int = 0
    is_restored: bool = True
    is_committing: bool = False
    is_suspended: bool = False

    @property
    def memory_bytes(self) -> int:
        """
        How much memory it takes while it is kept.
        """
        return min(self.upload.held_bytes, self.received_bytes)

    @property
    def disk_bytes(self) -> int:
        """
        How much of it is on the archive.
        """
        return self.received_bytes if self.upload.header.archived else 0


@define(eq=False)
class Claim:
    """
    The right of one call to go on with an upload.

    Attributes:
        interrupt: ends the call soon, with ``UploadTakenOver``.
        ended: set when the call has ended.
        transfer: the upload under way; ``None`` before it begins.
    """

    interrupt: Callable[[], None]
    ended: IEvent
    transfer: UnfinishedTransfer | None = None


@define(eq=False)
class _Kept:
    transfer: UnfinishedTransfer
    since_seconds: float
    expires_seconds: float

    def data(self, size_bytes: int) -> KeptData:
        return KeptData(self.transfer.owner, size_bytes, self.since_seconds)


class KeptUploads:
    """
    The uploads that have a key and are under way or kept.  Used in the thread that runs the use cases.
    """

    def __init__(self, runtime: IRuntime, limits: KeptLimits, now_seconds: Callable[[], float]) -> None:
        """

        Args:
            now_seconds: returns the time in seconds since the Unix epoch.
        """
        self._runtime = runtime
        self._limits = limits
        self._now_seconds = now_seconds
        self._claims: dict[UploadKey, Claim] = {}
        # The oldest first.
        self._kept: OrderedDict[UploadKey, _Kept] = OrderedDict()
        self._is_expiring = False

    def follow(self, registry: IRegistry) -> None:
        """
        Drop uploads whose model is deleted, and those on the archive when its medium is full, unless the archive itself
        drops as many as it needs.
        """
        registry.subscribe(self._notice, ModelDeleted, StorageFailed)

    def _notice(self, event: ModelDeleted | StorageFailed) -> None:
        # Called in the reactor's thread.
        if isinstance(event, ModelDeleted):
            self._runtime.run_soon(lambda: self._drop_model(event.model_id, event.incarnation))
        elif isinstance(event.error, StorageFull):
            self._runtime.run_soon(self._drop_archived)

    def _drop_model(self, model_id: str, incarnation: int) -> None:
        for key in [key for key in self._kept if key[0] == model_id]:
            if self._kept[key].transfer.upload.snapshot.incarnation == incarnation:
                self.drop(key)

    def _drop_archived(self) -> None:
        for key, kept in [*self._kept.items()]:
            if kept.transfer.disk_bytes and not kept.transfer.upload.is_droppable:
                self.drop(key)

    def __len__(self) -> int:
        """
        Return the number of uploads that are kept.
        """
        return len(self._kept)

    async def claim(self, key: UploadKey, interrupt: Callable[[], None]) -> Claim:
        """
        Interrupt the call that has the same key, if there is one, and take its place.

        A client whose connection broke comes back before the server has noticed, so the newer call wins.

        Args:
            interrupt: ends this call soon, with ``UploadTakenOver``.
        """
        while (older := self._claims.get(key)) is not None:
            older.interrupt()
            await older.ended.wait()
        claim = self._claims[key] = Claim(interrupt, self._runtime.event())
        return claim

    def release(self, key: UploadKey, claim: Claim) -> None:
        """
        End a claim.
        """
        del self._claims[key]
        claim.ended.set()

    def find(self, key: UploadKey, incarnation: int) -> UnfinishedTransfer | None:
        """
        Return the upload with a key, under way or kept; ``None`` if there is none.

        Args:
            incarnation: that of the model; an upload to an earlier model with the same id is dropped.
        """
        claim, kept = self._claims.get(key), self._kept.get(key)
        if claim is not None and claim.transfer is not None and not claim.transfer.is_committing:
            return claim.transfer
        if kept is None:
            return None
        if kept.transfer.upload.snapshot.incarnation != incarnation or kept.transfer.upload.is_dropped:
            self.drop(key)
            return None
        return kept.transfer

    def expires_seconds(self, key: UploadKey) -> float:
        """
        Return when an upload is dropped if nothing more arrives, in seconds since the Unix epoch.
        """
        kept = self._kept.get(key)
        return kept.expires_seconds if kept is not None else self.expiry_seconds(self._now_seconds())

    def expiry_seconds(self, changed_seconds: float) -> float:
        """
        Return when an upload that last changed at some time is dropped, in seconds since the Unix epoch.
        """
        return changed_seconds + self._limits.seconds

    def take(self, key: UploadKey) -> None:
        """
        Take out an upload that is to go on.
        """
        self._kept.pop(key, None)

    def drop(self, key: UploadKey) -> None:
        """
        Abort the upload that is kept with a key, if there is one.
        """
        kept = self._kept.pop(key, None)
        if kept is not None:
            kept.transfer.upload.abort()

    def keep(self, key: UploadKey, transfer: UnfinishedTransfer) -> None:
        """
        Keep an upload that was interrupted, unless little was received of it, and drop others if that is too much.
        """
        self.drop(key)
        if transfer.received_bytes < self._limits.least_bytes:
            transfer.upload.abort()
            return
        transfer.is_suspended = True
        transfer.upload.suspend()
        now = self._now_seconds()
        self._kept[key] = _Kept(transfer, now, now + self._limits.seconds)
        while (surplus := self._surplus()) is not None:
            self.drop(surplus)
        self._expire_later()

    def _surplus(self) -> UploadKey | None:
        # The rules look at all uploads, so they are asked only if a limit is exceeded.
        limits = self._limits
        if len(self._kept) > limits.archive.count:
            return first_of_too_many(self._data(lambda transfer: transfer.received_bytes), limits.archive.count)
        for size_of, max_bytes in (
            (lambda transfer: transfer.memory_bytes, limits.memory_bytes),
            (lambda transfer: transfer.disk_bytes, limits.archive.size_bytes),
        ):
            if sum(size_of(kept.transfer) for kept in self._kept.values()) > max_bytes:
                return first_of_too_much(self._data(size_of), max_bytes)
        return None

    def _data(self, size_of: Callable[[UnfinishedTransfer], int]) -> dict[UploadKey, KeptData]:
        return {key: kept.data(size_of(kept.transfer)) for key, kept in self._kept.items()}

    def _expire_later(self) -> None:
        if self._kept and not self._is_expiring:
            self._is_expiring = True
            oldest = next(iter(self._kept.values()))
            delay_seconds = min(max(1.0, oldest.expires_seconds - self._now_seconds()), self._limits.seconds)
            self._runtime.call_later(delay_seconds, self._expire)

    def _expire(self) -> None:
        self._is_expiring = False
        now = self._now_seconds()
        for key in [key for key, kept in self._kept.items() if kept.expires_seconds <= now]:
            self.drop(key)
        self._expire_later()
