"""
Calls of ``twisted_registry.v1`` about metrics, followers, the server and the caller.
"""

from collections.abc import AsyncGenerator, Sequence
from math import isnan
from typing import Any, Final

from attrs import fields, frozen

from twisted_registry.client._server_types import CallerInfo, Follower, MetricSeries, MetricSummary, ServerStatus
from twisted_registry.client._transport.pages import PAGE, entries
from twisted_registry.client._transport.records import check_number, time_ns
from twisted_registry.client._transport.registry_api import RegistryApi
from twisted_registry.client._transport.replies import bad_reply
from twisted_registry.client._transport.requests import sendable_model_id, sendable_names, sendable_text
from twisted_registry.client.errors import InvalidRequest
from twisted_registry.domain.models import MAX_VERSION_NUMBER
from twisted_registry.protocol.messages import v1

_MOST_POINTS: Final = 10_000
_OTHERWISE = {"started_ns", "uptime_seconds"}
_OPTIONAL = {"archive_versions", "archive_bytes", "disk_free_bytes", "disk_bytes"}


@frozen
class MetricCalls:
    """
    Calls about the metrics of a model's versions.
    """

    _api: RegistryApi

    def summaries(self, model_id: str, first_number: int, last_number: int) -> AsyncGenerator[MetricSummary, None]:
        """
        Yield the metrics that versions have.
        """
        request = v1.ListMetricsRequest(
            model_id=sendable_model_id(model_id),
            first_number=_sendable_number(first_number),
            last_number=_sendable_number(last_number),
            page_size=PAGE,
        )

        async def fetch(token: str) -> Any:
            request.page_token = token
            return await self._api.call("ListMetrics", request, v1.ListMetricsResponse, model_id, most=PAGE)

        return entries(fetch, lambda page: [_summary(message, model_id) for message in page.metrics], model_id)

    async def series(
        self, model_id: str, metrics: Sequence[str], first_number: int, last_number: int, max_points: int
    ) -> dict[str, MetricSeries]:
        """
        Return the values of metrics.
        """
        names = [sendable_text(name, "metric") for name in sendable_names(metrics)]
        if not 0 <= max_points < 2**31:
            raise InvalidRequest(f"max_points is {max_points}; it must be from 4 to {_MOST_POINTS}")
        request = v1.GetMetricSeriesRequest(
            model_id=sendable_model_id(model_id),
            metrics=names,
            first_number=_sendable_number(first_number),
            last_number=_sendable_number(last_number),
            max_points=max_points,
        )
        most = _MOST_POINTS * len(names)
        reply = await self._api.call("GetMetricSeries", request, v1.GetMetricSeriesResponse, model_id, most=most)
        found = [_series(message, model_id) for message in reply.series]
        if [series.metric for series in found] != names:
            raise bad_reply("it sent the series of other metrics", model_id)
        return {series.metric: series for series in found}


def _sendable_number(number: int) -> int:
    if not 0 <= number <= MAX_VERSION_NUMBER:
        raise InvalidRequest(f"{number} is not the number of a version; leave it out for no limit")
    return number


def _summary(message: "v1.Metric", model_id: str) -> MetricSummary:
    check_number(message.last_number, model_id)
    return MetricSummary(
        message.name,
        message.version_count,
        message.last_number,
        message.last_value,
        message.min_value,
        message.max_value,
    )


def _series(message: "v1.MetricSeries", model_id: str) -> MetricSeries:
    numbers, values = tuple(message.numbers), tuple(message.values)
    if len(numbers) != len(values) or len(numbers) > message.version_count or any(map(isnan, values)):
        raise bad_reply("it sent a series whose numbers and values do not fit together", model_id)
    if any(left >= right for left, right in zip((0, *numbers), numbers, strict=False)):
        raise bad_reply("it sent a series whose numbers do not ascend", model_id)
    return MetricSeries(message.metric, numbers, values, message.version_count)


@frozen
class ServerCalls:
    """
    Calls about the server, and about those who use it.
    """

    _api: RegistryApi

    async def status(self) -> ServerStatus:
        """
        Return the state of the server.
        """
        reply = await self._api.call("GetServerStatus", v1.GetServerStatusRequest(), v1.ServerStatus)
        names = [field.name for field in fields(ServerStatus) if field.name not in _OTHERWISE]
        values: dict[str, Any] = {
            name: None if name in _OPTIONAL and not reply.HasField(name) else getattr(reply, name) for name in names
        }
        uptime_seconds = reply.uptime.seconds + reply.uptime.nanos / 1e9
        return ServerStatus(started_ns=time_ns(reply.start_time), uptime_seconds=uptime_seconds, **values)

    async def caller(self, model_id: str) -> CallerInfo:
        """
        Return who this client is for the server, and what it may do.
        """
        request = v1.GetCallerRequest(model_id=sendable_model_id(model_id) if model_id else "")
        reply = await self._api.call("GetCaller", request, v1.Caller, model_id)
        ends_ns = time_ns(reply.expire_time) if reply.HasField("expire_time") else None
        return CallerInfo(reply.subject, reply.token_id, ends_ns, frozenset(reply.actions))

    def followers(self, model_id: str) -> AsyncGenerator[Follower, None]:
        """
        Yield the streams that clients follow models with.
        """
        request = v1.ListFollowersRequest(model_id=sendable_model_id(model_id) if model_id else "", page_size=PAGE)

        async def fetch(token: str) -> Any:
            request.page_token = token
            return await self._api.call("ListFollowers", request, v1.ListFollowersResponse, model_id, most=PAGE)

        return entries(fetch, lambda page: [_follower(message) for message in page.followers], model_id)


def _follower(message: "v1.Follower") -> Follower:
    return Follower(
        message.model_id,
        message.prefix,
        message.stream,
        message.actor,
        message.peer,
        time_ns(message.start_time),
        message.last_number,
        time_ns(message.last_time) if message.HasField("last_time") else None,
    )
