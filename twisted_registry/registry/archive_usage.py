"""
The bytes that models have in the archive, as far as quotas limit them.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from threading import Lock

from attrs import define, field

from twisted_registry.domain.errors import QuotaExceeded
from twisted_registry.domain.quotas import Quota
from twisted_registry.domain.scope_map import ScopeMap

_COUNTING_SECONDS = 1.0
"""After so many seconds a client asks again whether all has been counted."""


@define(eq=False)
class _Limit:
    """
    The limit of one quota, and how much of it is used.

    Attributes:
        used_bytes: the size of the versions in the archive.
        reserved_bytes: the declared size of those that are being written.
        uncounted: the models whose versions are still to be counted.
    """

    quota: Quota
    used_bytes: int = 0
    reserved_bytes: int = 0
    uncounted: set[str] = field(factory=set)

    def check(self, size_bytes: int) -> None:
        most_bytes = self.quota.archive_bytes
        assert most_bytes is not None, "only quotas of the archive are here"
        if self.used_bytes + self.reserved_bytes + size_bytes > most_bytes:
            under_way = f", {self.reserved_bytes} more are being written" if self.reserved_bytes else ""
            raise QuotaExceeded(
                self.quota.name,
                f"archive_bytes = {most_bytes}",
                f"its models have {self.used_bytes} bytes in the archive{under_way}, and this version has "
                f"{size_bytes}; delete versions",
            )
        if self.uncounted:
            reason = "the registry still counts how much of it is used"
            raise QuotaExceeded(self.quota.name, f"archive_bytes = {most_bytes}", reason, _COUNTING_SECONDS)


class ArchiveReservation:
    """
    The bytes of a version that is being written to the archive.

    Attributes:
        model_id: its model.
        size_bytes: how many bytes its data will have.
    """

    __slots__ = ("_usage", "is_open", "model_id", "size_bytes")

    def __init__(self, usage: "ArchiveUsage", model_id: str, size_bytes: int) -> None:
        self._usage = usage
        self.is_open = True
        self.model_id = model_id
        self.size_bytes = size_bytes

    def release(self) -> None:
        """
        Release the bytes: the version will not be in the archive.  Does nothing if it is, or if they were released
        before.
        """
        self._usage.release(self)

    def settle(self, version_number: int) -> None:
        """
        Record that the version is in the archive.
        """
        self._usage.settle(self, version_number)


class ArchiveUsage:
    """
    The bytes that models have in the archive.  May be used in any thread.

    Only models that a quota limits are counted.  ``ArchiveCounting`` reads the versions of those in ``uncounted`` once,
    because the archive does not know their sum, and reports them with ``count`` and ``counted``.
    """

    def __init__(self) -> None:
        self.quotas: Sequence[Quota] = ()
        self._lock = Lock()
        self._all: list[_Limit] = []
        self._limits: ScopeMap[_Limit] = ScopeMap()
        self._sizes: dict[str, dict[int, int]] = {}
        self._counted: set[str] = set()
        self._reservations: set[ArchiveReservation] = set()

    def replace(self, quotas: Sequence[Quota], model_ids: Iterable[str]) -> None:
        """
        Replace the quotas.  What exceeds new ones stays.

        Args:
            model_ids: the models that exist.
        """
        with self._lock:
            self.quotas = quotas
            self._all = [_Limit(quota) for quota in quotas]
            self._limits = ScopeMap((scope, limit) for limit in self._all for scope in limit.quota.reach)
            self._count_again(set(model_ids))

    def _count_again(self, model_ids: Collection[str]) -> None:
        sizes, counted, self._sizes, self._counted = self._sizes, self._counted, {}, set()
        for model_id in model_ids:
            limits = self._limits.find(model_id)
            if not limits:
                continue
            for number, size_bytes in sizes.get(model_id, {}).items():
                self._add(model_id, number, size_bytes)
            if model_id in counted:
                self._counted.add(model_id)
            else:
                for limit in limits:
                    limit.uncounted.add(model_id)
        for reservation in self._reservations:
            self._change_reserved(reservation, reservation.size_bytes)

    @property
    def uncounted(self) -> Sequence[str]:
        """
        The models that are still to be counted.
        """
        with self._lock:
            return sorted({model_id for limit in self._all for model_id in limit.uncounted})

    # Writing versions

    def reserve(self, model_id: str, size_bytes: int) -> ArchiveReservation:
        """
        Reserve the bytes of a version before it is written.

        Raises:
            QuotaExceeded: a quota has not so much left, or it is not known yet how much it has left.
        """
        reservation = ArchiveReservation(self, model_id, size_bytes)
        with self._lock:
            for limit in self._limits.find(model_id):
                limit.check(size_bytes)
            self._reservations.add(reservation)
            self._change_reserved(reservation, size_bytes)
        return reservation

    def _change_reserved(self, reservation: ArchiveReservation, size_bytes: int) -> None:
        for limit in self._limits.find(reservation.model_id):
            limit.reserved_bytes += size_bytes

    def release(self, reservation: ArchiveReservation) -> None:
        """
        See ``ArchiveReservation.release``.
        """
        with self._lock:
            self._close(reservation)

    def _close(self, reservation: ArchiveReservation) -> bool:
        was_open, reservation.is_open = reservation.is_open, False
        if was_open:
            self._reservations.discard(reservation)
            self._change_reserved(reservation, -reservation.size_bytes)
        return was_open

    def settle(self, reservation: ArchiveReservation, version_number: int) -> None:
        """
        See ``ArchiveReservation.settle``.
        """
        with self._lock:
            if self._close(reservation):
                self._add(reservation.model_id, version_number, reservation.size_bytes)

    def _add(self, model_id: str, number: int, size_bytes: int) -> None:
        limits = self._limits.find(model_id)
        if not limits:
            return
        sizes = self._sizes.setdefault(model_id, {})
        if number not in sizes:
            sizes[number] = size_bytes
            for limit in limits:
                limit.used_bytes += size_bytes

    # What was there, and what goes

    def count(self, model_id: str, sizes: Mapping[int, int]) -> None:
        """
        Record versions that are in the archive.

        Args:
            sizes: their sizes in bytes, by number.
        """
        with self._lock:
            for number, size_bytes in sizes.items():
                self._add(model_id, number, size_bytes)

    def counted(self, model_id: str) -> None:
        """
        Record that all versions of a model were counted.
        """
        with self._lock:
            for limit in self._limits.find(model_id):
                limit.uncounted.discard(model_id)
                self._counted.add(model_id)

    def needs_count(self, model_id: str) -> bool:
        """
        Return whether the versions of a model have never been counted.
        """
        with self._lock:
            return model_id not in self._counted and bool(self._limits.find(model_id))

    def remove(self, model_id: str, version_number: int) -> None:
        """
        Record that a version was deleted.
        """
        with self._lock:
            size_bytes = self._sizes.get(model_id, {}).pop(version_number, 0)
            for limit in self._limits.find(model_id):
                limit.used_bytes -= size_bytes

    def remove_model(self, model_id: str) -> None:
        """
        Record that a model was deleted, with all its versions.
        """
        with self._lock:
            size_bytes = sum(self._sizes.pop(model_id, {}).values())
            self._counted.discard(model_id)
            for limit in self._limits.find(model_id):
                limit.used_bytes -= size_bytes
                limit.uncounted.discard(model_id)

    def used(self) -> dict[str, int]:
        """
        Return how many bytes each quota has in the archive, by its name.
        """
        with self._lock:
            return {limit.quota.name: limit.used_bytes for limit in self._all}
