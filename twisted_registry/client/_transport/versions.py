"""
Calls about single versions, by reference: read, annotated, archived, deleted and copied; and the search for versions.
"""

from collections.abc import AsyncGenerator, Iterable, Mapping
from typing import Any
from uuid import uuid4

from attrs import evolve, frozen

from twisted_registry.client._transport.annotations import annotations_request
from twisted_registry.client._transport.pages import PAGE, entries, set_place, with_place
from twisted_registry.client._transport.records import version_record
from twisted_registry.client._transport.registry_api import RegistryApi
from twisted_registry.client._transport.replies import bad_reply
from twisted_registry.client._transport.requests import reference_of, sendable_model_id, sendable_names, sendable_text
from twisted_registry.client._types import AnyReference
from twisted_registry.client.errors import (
    CorruptVersion,
    InvalidFilter,
    InvalidRequest,
    NoMatchingVersion,
    UnknownModel,
    UnknownVersion,
)
from twisted_registry.domain.aliases import check_alias_name, check_reason
from twisted_registry.domain.filter_syntax import parse_filter
from twisted_registry.domain.idempotency import check_idempotency_key
from twisted_registry.domain.models import check_model_id
from twisted_registry.domain.records import VersionRecord
from twisted_registry.domain.references import Reference
from twisted_registry.protocol.messages import Empty, v1


@frozen
class Versions:
    """
    Calls about versions.

    A reference such as ``walker@latest`` may name another version later.  So a call that changes something first finds
    the version that it names, and then refers to it by its number.
    """

    _api: RegistryApi

    async def get(self, version: AnyReference) -> VersionRecord:
        """
        Return a version's record.
        """
        reference = reference_of(version)
        model_id, selector = reference.model_id, reference.selector
        request = v1.GetVersionRequest(reference=str(reference))
        reply = await self._api.call("GetVersion", request, v1.Version, model_id, selector)
        record = version_record(reply, model_id, selector)
        self._api.calls.connection.memory.saw(model_id, record.number)
        return record

    async def annotate(
        self,
        version: AnyReference,
        labels: Mapping[str, str] | None,
        metrics: Mapping[str, float] | None,
        remove_labels: Iterable[str],
        remove_metrics: Iterable[str],
        replace: bool,
    ) -> VersionRecord:
        """
        Set some labels and metrics of a version, and remove some, or all others.
        """
        reference = reference_of(version)
        request = annotations_request("", labels, metrics, remove_labels, remove_metrics, replace)
        if (reference.selector or 0) < 1:
            reference = exact(await self.get(reference))
        request.reference = str(reference)
        model_id, number = reference.model_id, reference.selector
        return version_record(
            await self._api.call("UpdateVersion", request, v1.Version, model_id, number), model_id, number
        )

    async def archive(self, version: AnyReference) -> VersionRecord:
        """
        Move a transient version to the archive.
        """
        record = await self.get(version)
        if record.archived:
            return record
        request = v1.ArchiveVersionRequest(reference=str(exact(record)))
        model_id, number, api = record.info.model_id, record.number, self._api.for_bytes(record.size_bytes)
        reply = await api.call("ArchiveVersion", request, v1.Version, model_id, number)
        archived = version_record(reply, model_id, number)
        if not archived.archived or archived.sha256 != record.sha256:
            raise bad_reply("it sent a version that is transient or has other data", model_id, number)
        return archived

    async def delete(self, version: AnyReference) -> None:
        """
        Delete a version, which may be damaged.  If the answer is lost, the deletion is repeated only if the same
        version still exists.

        Raises:
            InvalidRequest: the reference names a model without a version.
        """
        if reference_of(version).is_model:  # else a forgotten number would delete the latest version
            raise InvalidRequest("name the version to delete, such as walker@3; delete_model deletes the whole model")
        reference, record = await self._found(version)
        request = v1.DeleteVersionRequest(reference=str(reference))
        api, model_id, number = self._api.without_retries(), reference.model_id, reference.selector

        async def act() -> bool:
            await api.call("DeleteVersion", request, Empty, model_id, number)
            return True

        async def find_out() -> bool | None:
            return None if await Versions(api)._exists(reference, record) else True

        await self._api.repeat(act, find_out, model_id, (UnknownModel, UnknownVersion))

    async def _found(self, version: AnyReference) -> tuple[Reference, VersionRecord | None]:
        """
        Return the reference of a version by its number, and its record; ``None`` if it is damaged.
        """
        try:
            record = await self.get(version)
        except CorruptVersion as damaged:
            reference, number = reference_of(version), damaged.version_number
            if damaged.model_id != reference.model_id or number < 1 or number != (reference.selector or -1) > 0:
                raise  # it does not say which version it is about
            return Reference(reference.model_id, number), None
        return exact(record), record

    async def _exists(self, reference: Reference, record: VersionRecord | None) -> bool:
        """
        Return whether a version still exists; another one with its number belongs to a model that was created since.

        Args:
            reference: the version, by its number.
            record: its record; ``None`` if it was damaged.
        """
        try:
            present = await self.get(reference)
        except (UnknownModel, UnknownVersion):
            return False
        except CorruptVersion:
            return True
        return record is not None and (present.created_ns, present.sha256) == (record.created_ns, record.sha256)

    async def copy(
        self,
        version: AnyReference,
        model_id: str,
        transient: bool,
        aliases: Iterable[str],
        reason: str,
        idempotency_key: str | None,
    ) -> VersionRecord:
        """
        Create a version in another model with a version's data, which stays in the server.
        """
        names = [check_alias_name(alias) for alias in sendable_names(aliases)]
        check_reason(reason)
        check_model_id(model_id)
        key = uuid4().hex if idempotency_key is None else check_idempotency_key(idempotency_key)
        record = await self.get(version)
        request = v1.CopyVersionRequest(
            reference=str(exact(record)),
            model_id=model_id,
            transient=transient,
            aliases=names,
            alias_reason=reason,
            idempotency_key=key,
        )
        reply = await self._api.for_bytes(record.size_bytes).call("CopyVersion", request, v1.Version, model_id)
        copied = version_record(reply, model_id)
        sent = (copied.sha256, copied.size_bytes, copied.archived)
        if sent != (record.sha256, record.size_bytes, not transient):
            raise bad_reply("it created a version of other data, or of the other kind", model_id)
        self._api.calls.connection.memory.saw(model_id, copied.number)
        return copied

    def search(
        self, model_id: str, matching: str, order_by: str, most: int = PAGE, skip: int = 0
    ) -> AsyncGenerator[VersionRecord]:
        """
        Yield the versions that match a filter.

        Args:
            model_id: the model.
            matching: the filter; empty for all versions.
            order_by: the order; empty for by number.
            most: how many versions a page may have.
            skip: how many of them to leave out first.
        """
        request = v1.ListVersionsRequest(
            model_id=sendable_model_id(model_id),
            filter=sendable_text(matching, "filter"),
            order_by=sendable_text(order_by, "order_by"),
            page_size=most,
        )

        async def fetch(token: str) -> Any:
            set_place(request, token, skip)
            reply = await self._api.call("ListVersions", request, v1.ListVersionsResponse, model_id, most=most)
            return with_place(reply, request, reply.versions)

        return entries(fetch, lambda page: [version_record(each, model_id) for each in page.versions], model_id, most)

    async def count(self, model_id: str, matching: str) -> int:
        """
        Return how many versions match a filter.
        """
        request = v1.ListVersionsRequest(
            model_id=sendable_model_id(model_id),
            filter=sendable_text(matching, "filter"),
            page_size=1,
            show_total_size=True,
        )
        reply = await self._api.call("ListVersions", request, v1.ListVersionsResponse, model_id, most=1)
        return int(with_place(reply, request, reply.versions).total_size)

    async def best(self, model_id: str, metric: str, lowest: bool, matching: str) -> VersionRecord:
        """
        Return the version with the best value of a metric.
        """
        path = f"metrics.{_quoted(sendable_text(metric, 'metric'))}"
        # Alone first: as a part of another filter, it could have another meaning or another column.
        parse_filter(sendable_text(matching, "filter"))
        # AND binds loosest, so that no parentheses are needed.
        wanted = f"{matching} AND {path}:*" if matching.strip() else f"{path}:*"
        # Retention keeps the newest of equal ones, too.
        order_by = f"{path}{'' if lowest else ' desc'}, number desc"
        try:
            async for record in self.search(model_id, wanted, order_by, 1):
                if metric not in record.metrics:
                    raise bad_reply("it sent a version without the metric", model_id, record.number)
                return record
        except InvalidFilter as error:
            if error.parameter == "filter" and matching.strip():
                raise evolve(error, column=min(error.column, len(matching) + 1)) from None
            raise
        raise NoMatchingVersion(model_id, wanted)


def exact(record: VersionRecord) -> Reference:
    """
    Return the reference of a version by its number.
    """
    return Reference(record.info.model_id, record.number)


def _quoted(key: str) -> str:
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
