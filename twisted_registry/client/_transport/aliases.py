"""
Calls about aliases.
"""

from collections.abc import AsyncGenerator
from typing import Any
from uuid import uuid4

from attrs import frozen

from twisted_registry.client._transport.pages import PAGE, entries
from twisted_registry.client._transport.records import alias_move, current_move
from twisted_registry.client._transport.registry_api import RegistryApi
from twisted_registry.client._transport.replies import bad_reply
from twisted_registry.client._transport.requests import sendable_model_id, sendable_text
from twisted_registry.client._transport.versions import Versions, exact
from twisted_registry.client._types import AnyReference
from twisted_registry.client.errors import InvalidRequest, UnknownAlias
from twisted_registry.domain.aliases import AliasMove, check_alias_name, check_reason
from twisted_registry.domain.models import MAX_VERSION_NUMBER
from twisted_registry.domain.references import Reference
from twisted_registry.protocol.messages import Empty, v1

_MOST_ALIASES = MAX_VERSION_NUMBER
"""The size of the reply is the limit."""


@frozen
class Aliases:
    """
    Calls that read and move aliases.

    Each move has an id.  If its answer is lost, it is repeated with the same id, and the server makes no second move.
    """

    _api: RegistryApi

    async def set(self, version: AnyReference, alias: str, expected_number: int | None, reason: str) -> AliasMove:
        """
        Point an alias at a version.
        """
        check_alias_name(alias)
        check_reason(reason)
        record = await Versions(self._api).get(version)
        model_id, number = record.info.model_id, record.number
        request = v1.SetAliasRequest(reference=str(exact(record)), alias=alias, reason=reason, request_id=str(uuid4()))
        if expected_number is not None:
            request.expected_number = _sendable_expected(expected_number)
        api = self._api.for_bytes(0 if record.archived else record.size_bytes)
        move = current_move(await api.call("SetAlias", request, v1.Alias, model_id, number), model_id, alias)
        if move.to_number != number:
            raise bad_reply(f"it sent a move to version {move.to_number}", model_id, number)
        return move

    async def delete(self, model_id: str, alias: str, expected_number: int | None, reason: str) -> None:
        """
        Delete an alias.
        """
        check_reason(reason)
        request = v1.DeleteAliasRequest(
            model_id=sendable_model_id(model_id),
            alias=sendable_text(alias, "alias"),
            reason=reason,
            request_id=str(uuid4()),
        )
        if expected_number is not None:
            request.expected_number = _sendable_expected(expected_number)
        await self._api.call("DeleteAlias", request, Empty, model_id)

    async def of_model(self, model_id: str) -> dict[str, AliasMove]:
        """
        Return the move that pointed each alias of a model at its current version.
        """
        request = v1.ListAliasesRequest(model_id=sendable_model_id(model_id))
        reply = await self._api.call("ListAliases", request, v1.ListAliasesResponse, model_id, most=_MOST_ALIASES)
        moves = [current_move(message, model_id) for message in reply.aliases]
        found = {move.alias: move for move in moves}
        if len(found) < len(moves):
            raise bad_reply("it sent an alias twice", model_id)
        return found

    async def named(self, reference: Reference) -> AliasMove:
        """
        Return the move that pointed an alias at its current version.

        Raises:
            UnknownAlias: there is no such alias.
        """
        alias = reference.alias or ""
        move = (await self.of_model(reference.model_id)).get(alias)
        if move is None:
            raise UnknownAlias(reference.model_id, alias)
        return move

    def moves(self, model_id: str, alias: str) -> AsyncGenerator[AliasMove]:
        """
        Yield the moves of a model's aliases, the newest first.

        Args:
            model_id: the model.
            alias: one alias; empty for all.
        """
        request = v1.ListAliasEventsRequest(
            model_id=sendable_model_id(model_id), alias=sendable_text(alias, "alias"), page_size=PAGE
        )
        sequences = [2**64]

        async def fetch(token: str) -> Any:
            request.page_token = token
            return await self._api.call("ListAliasEvents", request, v1.ListAliasEventsResponse, model_id, most=PAGE)

        def values(page: Any) -> list[AliasMove]:
            moves = [alias_move(message, model_id, alias) for message in page.events]
            for move in moves:
                if move.sequence >= sequences[-1]:
                    raise bad_reply(f"it sent move {move.sequence} after move {sequences[-1]}", model_id)
                sequences[-1] = move.sequence
            return moves

        return entries(fetch, values, model_id)


def _sendable_expected(number: int) -> int:
    if not 0 <= number <= MAX_VERSION_NUMBER:
        raise InvalidRequest(f"expected_number is {number}; it must be a version's number, or 0 for no such alias")
    return number
