"""
Methods of the client about versions that references name.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from twisted_registry.client._server_types import MetricSeries, MetricSummary
from twisted_registry.client._types import AnyReference
from twisted_registry.client.methods.base import MethodsBase
from twisted_registry.domain.records import VersionRecord

if TYPE_CHECKING:
    from twisted_registry.client._iterators import Items


class ReferenceMethods(MethodsBase):
    """
    The methods of a client about versions that references name.
    """

    async def get(self, version: AnyReference) -> VersionRecord:
        """
        Return a version with its labels, metrics and aliases.

        This and the following methods need a server with ``twisted_registry.v1``.

        Args:
            version: a reference, such as ``walker@production``, ``walker@3`` or ``walker@latest``; or the info or
                record of a version.  ``walker`` alone means its latest version.  An ``@`` of a model's id is written
                ``%40`` in a reference.

        Returns:
            The version's record.

        Raises:
            UnknownModel: there is no such model.
            UnknownVersion: the model has no such version.
            UnknownAlias: the model has no such alias.
            CorruptVersion: the version's files are damaged.
            InvalidRequest: the text is not a reference.
            InvalidModelId: the text names a model that cannot exist.
            Unsupported: the server does not have this call.
        """
        return await self._session.versions.get(version)

    def search(self, model_id: str, filter: str = "", order_by: str = "", *, skip: int = 0) -> "Items[VersionRecord]":
        """
        List the versions of a model that match a filter, in an order::

            async for record in client.search("walker", "archived AND metrics.return > 200", "metrics.return desc"):
                print(record.number, record.metrics["return"])

        The list is fetched in pages during the iteration.  ``docs/reference/filters.md`` describes filters and orders.

        Args:
            model_id: the model.
            filter: such as ``archived AND metrics.return > 200``; empty for all versions.
            order_by: such as ``metrics.return desc, number``; empty for by number.
            skip: how many versions to leave out first.  The server finds the next one at once if there is no filter.

        Returns:
            An iterator over the versions' records.

        Raises:
            InvalidFilter: the filter or the order has a mistake.  This and the other errors are raised during the
                iteration.
            UnknownModel: there is no such model.
            Unsupported: the server does not have this call.
        """
        from twisted_registry.client._iterators import Items

        return Items(self._session.versions.search(model_id, filter, order_by, skip=skip))

    async def count_versions(self, model_id: str, filter: str = "") -> int:
        """
        Return how many versions of a model match a filter.

        Args:
            model_id: the model.
            filter: such as ``archived AND metrics.return > 200``; empty for all versions.

        Returns:
            The number of versions.

        Raises:
            InvalidFilter: the filter has a mistake.
            UnknownModel: there is no such model.
            Unsupported: the server does not have this call, or cannot count.
        """
        return await self._session.versions.count(model_id, filter)

    async def best(self, model_id: str, metric: str, *, lowest: bool = False, filter: str = "") -> VersionRecord:
        """
        Return the version with the best value of a metric; among equal ones, the newest.

        Args:
            model_id: the model.
            metric: the metric, such as ``return``.
            lowest: whether lower values are better.
            filter: selects the versions to compare, such as ``archived``; empty for all.

        Returns:
            The version's record.

        Raises:
            NoMatchingVersion: no version has the metric and matches the filter.
            InvalidFilter: the filter has a mistake.
            UnknownModel: there is no such model.
            Unsupported: the server does not have this call.
        """
        return await self._session.versions.best(model_id, metric, lowest, filter)

    def metrics(self, model_id: str, *, first_number: int = 0, last_number: int = 0) -> "Items[MetricSummary]":
        """
        List the metrics that versions of a model have, by name.  The list is fetched in pages during the iteration.

        Args:
            model_id: the model.
            first_number: the lowest number of the versions to look at; 0 for no limit.
            last_number: the highest number of them; 0 for no limit.

        Returns:
            An iterator over the metrics, each with its newest value and its extremes.

        Raises:
            UnknownModel: there is no such model.
            Unsupported: the server does not have this call.
        """
        from twisted_registry.client._iterators import Items

        return Items(self._session.metrics.summaries(model_id, first_number, last_number))

    async def metric_series(
        self, model_id: str, *metrics: str, first_number: int = 0, last_number: int = 0, max_points: int = 1000
    ) -> dict[str, MetricSeries]:
        """
        Return the values of metrics over the numbers of a model's versions, thinned out for a plot.

        If there are more than ``max_points`` values, the numbers are divided into equal parts, and of each part the
        lowest and the highest value are kept, so that no peak is lost.

        Args:
            model_id: the model.
            metrics: the names of 1 to 16 metrics.
            first_number: the lowest number of the versions; 0 for no limit.
            last_number: the highest number of them; 0 for no limit.
            max_points: the most values of each metric, 4 to 10000.

        Returns:
            The values, by the name of the metric.

        Raises:
            InvalidRequest: there are too many metrics or none, or too few points.
            UnknownModel: there is no such model.
            Unsupported: the server does not have this call.
        """
        return await self._session.metrics.series(model_id, metrics, first_number, last_number, max_points)

    async def annotate(
        self,
        version: AnyReference,
        *,
        labels: Mapping[str, str] | None = None,
        metrics: Mapping[str, float] | None = None,
        remove_labels: Iterable[str] = (),
        remove_metrics: Iterable[str] = (),
        replace: bool = False,
    ) -> VersionRecord:
        """
        Set some labels and metrics of a version, and remove some.  All others stay, unless ``replace`` is true.

        Args:
            version: the version; see ``get``.
            labels: the labels to set; at most 256 in all, each at most 4 KiB.
            metrics: the metrics to set; at most 256 in all.  They may be infinite.
            remove_labels: the labels to remove; missing ones are ignored.
            remove_metrics: the metrics to remove; missing ones are ignored.
            replace: whether all labels and metrics that are not given here are removed.  Damaged ones are repaired so.

        Returns:
            The version as it is now.

        Raises:
            UnknownModel: there is no such model.
            UnknownVersion: the model has no such version.
            UnknownAlias: the model has no such alias.
            InvalidRequest: a label or metric is not allowed, such as NaN; or there are too many.
            CorruptAnnotations: the version's labels and metrics are damaged, and ``replace`` is false.
            StorageFull: the server's disk is full.
            UnsupportedByArchive: the server's archive cannot store labels and metrics.
            Unsupported: the server does not have this call.
        """
        return await self._session.versions.annotate(version, labels, metrics, remove_labels, remove_metrics, replace)

    async def archive(self, version: AnyReference) -> VersionRecord:
        """
        Move a transient version to the server's archive.  Its number and its data stay the same, and the data does not
        cross the wire.  An archived version stays as it is.

        The answer may take ``deadline_seconds``, and a second more for each MiB.

        Args:
            version: the version; see ``get``.

        Returns:
            The version as it is now.

        Raises:
            UnknownModel: there is no such model.
            UnknownVersion: the model has no such version, or it was evicted.
            UnknownAlias: the model has no such alias.
            StorageFull: the server's disk is full; the version is still transient.
            UnsupportedByArchive: the server's archive cannot take transient versions.
            Unsupported: the server does not have this call.
        """
        return await self._session.versions.archive(version)

    async def delete_version(self, version: AnyReference) -> None:
        """
        Delete a version, which may be damaged.  No other version gets its number.  Downloads of it that have begun can
        end.

        If the answer is lost, the call is repeated only if the same version still exists.

        Args:
            version: the version; see ``get``.  A model alone, which would mean its latest version, is refused.

        Raises:
            InvalidRequest: the reference names a model without a version, or a version that cannot exist.
            AliasedVersion: an alias names the version.
            UnknownModel: there is no such model.
            UnknownVersion: the model has no such version.
            UnknownAlias: the model has no such alias.
            UnsupportedByArchive: the server's archive cannot delete versions.
            Unsupported: the server does not have this call.
        """
        await self._session.versions.delete(version)

    async def copy(
        self,
        version: AnyReference,
        model_id: str,
        *,
        transient: bool = False,
        aliases: Iterable[str] = (),
        reason: str = "",
        idempotency_key: str | None = None,
    ) -> VersionRecord:
        """
        Create a version in another model with the data and metadata of a version.  The data does not cross the wire.

        The answer may take ``deadline_seconds``, and a second more for each MiB.

        Args:
            version: the version to copy; see ``get``.
            model_id: the model that gets the new version.
            transient: whether the new version is transient; otherwise it is archived.
            aliases: aliases of the new version, set in the same commit.  A transient version can have none.
            reason: why the aliases are set, at most 1 KiB; may be empty.
            idempotency_key: a key for the creation, 1 to 128 printable ASCII characters; ``None`` for a random one.
                The same copy with the same key again, within a day, also in another process, returns the version that
                it made.

        Returns:
            The new version.

        Raises:
            UnknownModel: there is no such model.
            UnknownVersion: the model has no such version, or it was evicted.
            UnknownAlias: the model has no such alias.
            CorruptVersion: the version's files are damaged.
            InvalidRequest: an alias, the reason or the key is not allowed; or the key was used for another creation.
            TooManyAliases: the target has as many aliases as it may have, and one of these would be new.
            StorageFull: the server's disk is full; nothing was created.
            Unsupported: the server does not have this call.
        """
        return await self._session.versions.copy(version, model_id, transient, aliases, reason, idempotency_key)
