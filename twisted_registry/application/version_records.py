"""
Versions with their labels and metrics: by number, or all of a model in its index.
"""

from collections.abc import Sequence

from attrs import frozen

from twisted_registry.application.queries import Queries
from twisted_registry.domain.errors import Unreadable, index_loading
from twisted_registry.domain.query import Order
from twisted_registry.domain.records import VersionRecord
from twisted_registry.domain.snapshot import ModelSnapshot
from twisted_registry.domain.version_index import VersionIndex


@frozen
class VersionRecords:
    """
    The versions of models.
    """

    _queries: Queries

    async def of_numbers(self, snapshot: ModelSnapshot, numbers: Sequence[int]) -> list[VersionRecord]:
        """
        Return versions by number, without damaged ones.  They are read from the archive unless they are in memory.

        Raises:
            StorageFailure: the archive cannot be read.
        """
        registry = self._queries.registry
        known = {number: registry.version_record(snapshot, number) for number in numbers}
        missing = [number for number, record in known.items() if record is None]
        if missing:
            loaded = await self._queries.runtime.call(lambda: registry.load_version_records(snapshot, missing))
            known.update(
                {
                    number: None if isinstance(record, Unreadable) else record
                    for number, record in zip(missing, loaded, strict=True)
                }
            )
        return [record for record in known.values() if record is not None]

    async def index(
        self, snapshot: ModelSnapshot, order: Order, remaining_seconds: float | None = None
    ) -> VersionIndex:
        """
        Return a model's index, once it is in memory.

        Args:
            remaining_seconds: the time until the client's deadline; ``None`` if it set none.

        Raises:
            Unavailable: the index still is not, shortly before the deadline.
            UnknownModel: the model was deleted.
            TooLarge: the model has too many versions to search them.
            StorageFailure: the archive cannot be read.
        """
        registry = self._queries.registry
        index = registry.version_index(snapshot, order)
        if index is not None:
            return index
        # The answer has to arrive in time, on a busy machine, too.
        wait_seconds = None if remaining_seconds is None else remaining_seconds - min(1.0, 0.2 * remaining_seconds)
        try:
            return await self._queries.runtime.call(lambda: registry.load_version_index(snapshot, order), wait_seconds)
        except TimeoutError:
            read, total = registry.index_progress(snapshot)
            raise index_loading(snapshot.model_id, read, total) from None
