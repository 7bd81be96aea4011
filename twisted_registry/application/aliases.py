"""
Aliases: set, deleted and listed, with the history of their moves.
"""

from collections.abc import Sequence

from attrs import frozen

from twisted_registry.application.queries import Queries
from twisted_registry.domain.aliases import AliasChange, AliasMove, AliasRequest, check_alias_name, check_reason
from twisted_registry.domain.errors import InvalidRequest, shown
from twisted_registry.domain.references import Reference
from twisted_registry.domain.snapshot import ModelSnapshot


@frozen
class Aliases:
    """
    The aliases of all models.
    """

    _queries: Queries

    async def set(
        self,
        reference: Reference,
        alias: str,
        expected_number: int | None,
        reason: str,
        actor: str = "",
        request_id: str = "",
    ) -> AliasMove:
        """
        Point an alias at a version; see ``IVersionChanges.move_alias``.

        Args:
            reference: the version.
            expected_number: the number that the alias must name now; 0 if it must not exist; ``None`` for any.
            reason: why; may be empty.
            actor: who moves it; empty without access control.
            request_id: a UUID: the same request with the same one makes no second move.  Empty for none.

        Raises:
            InvalidRequest: the alias, the reason or the id is not allowed, or the id was that of another request.
        """
        check_alias_name(alias)
        check_reason(reason)
        request = AliasRequest.of(request_id, "set", str(reference), alias, expected_number, reason)
        snapshot = await self._queries.snapshot(reference.model_id)
        # The reference may name another version by now, or none.
        known = self._made(snapshot, request)
        if known is not None:
            return known
        change = AliasChange(alias, snapshot.resolve(reference), expected_number, actor, reason, request)
        return await self._queries.runtime.call(lambda: self._queries.registry.move_alias(snapshot, change))

    def _made(self, snapshot: ModelSnapshot, request: AliasRequest | None) -> AliasMove | None:
        return None if request is None else self._queries.registry.find_alias_move(snapshot, request)

    async def delete(
        self,
        model_id: str,
        alias: str,
        expected_number: int | None,
        reason: str,
        actor: str = "",
        request_id: str = "",
    ) -> AliasMove:
        """
        Delete an alias; its history stays.  See ``set`` for the arguments.

        Raises:
            InvalidRequest: the reason or the id is not allowed, or the id was that of another request.
            UnknownAlias: the model has no such alias.
        """
        check_reason(reason)
        request = AliasRequest.of(request_id, "delete", alias, expected_number, reason)
        snapshot = await self._queries.snapshot(model_id)
        change = AliasChange(alias, 0, expected_number, actor, reason, request)
        return await self._queries.runtime.call(lambda: self._queries.registry.move_alias(snapshot, change))

    async def of_model(self, model_id: str) -> Sequence[AliasMove]:
        """
        Return the move that pointed each alias of a model at its current version, sorted by alias.
        """
        snapshot = await self._queries.snapshot(model_id)
        return [snapshot.aliases[alias] for alias in sorted(snapshot.aliases)]

    async def moves(self, model_id: str, alias: str, count: int, token: str) -> "AliasMoves":
        """
        Return a page of the moves of a model's aliases, the newest first.

        Args:
            alias: one alias; empty for all.
            count: the most moves on the page.
            token: ``next_token`` of the page before; empty for the first page.

        Raises:
            InvalidRequest: the token does not continue such a list.
        """
        before = _sequence(token)
        snapshot = await self._queries.snapshot(model_id)
        registry = self._queries.registry
        moves = await self._queries.runtime.call(
            lambda: registry.alias_moves(snapshot, alias or None, before, count + 1)
        )
        page = moves[::-1]
        return AliasMoves(page[:count], str(page[count - 1].sequence) if len(page) > count else "")


@frozen
class AliasMoves:
    """
    A page of moves.

    Attributes:
        moves: the newest first.
        next_token: continues the list; empty at its end.
    """

    moves: Sequence[AliasMove]
    next_token: str


def _sequence(token: str) -> int | None:
    if not token:
        return None
    if not (token.isascii() and token.isdecimal() and len(token) < 19):
        raise InvalidRequest(f"{shown(token)} is not a page token; use the next_page_token of the page before")
    return int(token)
