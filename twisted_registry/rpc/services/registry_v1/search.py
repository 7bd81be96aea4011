"""
The calls of ``twisted_registry.v1.Registry`` that list and search models and versions.
"""

from typing import Any

from attrs import frozen

from twisted_registry.application.replies import ListReplies
from twisted_registry.application.search import Searches
from twisted_registry.application.search_pages import SearchRequest
from twisted_registry.protocol.messages import v1
from twisted_registry.rpc.budgets import ReplyBudget
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.services.registry_v1 import codec


def search_request(request: Any) -> SearchRequest:
    """
    Read a ``ListModelsRequest`` or a ``ListVersionsRequest``.

    Raises:
        InvalidRequest: the page size or the number of entries to skip is negative.
    """
    return SearchRequest(
        request.filter,
        request.order_by,
        codec.page_size(request.page_size),
        request.page_token,
        codec.skip(request.skip),
        request.show_total_size,
    )


@frozen
class SearchCalls:
    """
    The calls that return lists.  They return raw bytes, so that these can be counted before they are sent.
    """

    _searches: Searches
    _list_replies: ListReplies
    _reply_budget: ReplyBudget

    async def versions(self, request: Any, call: CallContext) -> bytes:
        """
        List the versions of a model that match a filter.
        """
        wanted = search_request(request)
        search = await self._searches.versions(request.model_id, wanted, lambda: call.remaining_seconds)

        async def make() -> bytes:
            page = await search.page()
            versions = [codec.version(record) for record in page.records]
            reply = v1.ListVersionsResponse(
                versions=versions, next_page_token=page.next_token, total_size=page.total or 0
            )
            return reply.SerializeToString()

        return await self._list_replies.make(self._reply_budget.receiver(call), wanted.page_size, make)

    async def models(self, request: Any, call: CallContext) -> bytes:
        """
        List the models that match a filter.
        """
        wanted = search_request(request)
        search = await self._searches.models(wanted, call.readable)

        async def make() -> bytes:
            page = await search.page()
            models = [codec.model(record) for record in page.records]
            reply = v1.ListModelsResponse(models=models, next_page_token=page.next_token, total_size=page.total or 0)
            return reply.SerializeToString()

        return await self._list_replies.make(self._reply_budget.receiver(call), wanted.page_size, make)
