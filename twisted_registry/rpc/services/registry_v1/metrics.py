"""
The calls of ``twisted_registry.v1.Registry`` about the metrics of versions.
"""

from typing import Any

from attrs import frozen

from twisted_registry.application.metrics import Metrics, MetricsRequest, MetricSummary
from twisted_registry.application.replies import ListReplies
from twisted_registry.protocol.messages import v1
from twisted_registry.rpc.budgets import ReplyBudget
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.services.registry_v1 import codec


def _metrics_request(request: Any) -> MetricsRequest:
    return MetricsRequest(request.model_id, request.first_number, request.last_number)


@frozen
class MetricCalls:
    """
    The calls about metrics.  They return raw bytes, so that these can be counted before they are sent.
    """

    _metrics: Metrics
    _list_replies: ListReplies
    _reply_budget: ReplyBudget

    async def list(self, request: Any, call: CallContext) -> bytes:
        """
        List the metrics that versions of a model have.
        """
        size = codec.page_size(request.page_size)
        page = await self._metrics.names(
            _metrics_request(request), size, request.page_token, lambda: call.remaining_seconds
        )

        async def make() -> bytes:
            reply = v1.ListMetricsResponse(
                metrics=map(_metric, page.metrics), next_page_token=page.next_token, total_size=page.total
            )
            return reply.SerializeToString()

        return await self._list_replies.make(self._reply_budget.receiver(call), len(page.metrics), make)

    async def series(self, request: Any, call: CallContext) -> bytes:
        """
        Return the values of metrics over the numbers of versions.
        """
        found = await self._metrics.series(
            _metrics_request(request), list(request.metrics), request.max_points, lambda: call.remaining_seconds
        )

        async def make() -> bytes:
            reply = v1.GetMetricSeriesResponse()
            for series in found:
                reply.series.add(
                    metric=series.metric,
                    numbers=series.numbers,
                    values=series.values,
                    version_count=series.count,
                )
            return reply.SerializeToString()

        return await self._list_replies.make(
            self._reply_budget.receiver(call), sum(len(series.numbers) for series in found), make
        )


def _metric(summary: MetricSummary) -> Any:
    return v1.Metric(
        name=summary.name,
        version_count=summary.count,
        last_number=summary.last_number,
        last_value=summary.last,
        min_value=summary.low,
        max_value=summary.high,
    )
