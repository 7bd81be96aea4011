"""
Methods of the client that are about aliases.
"""

from typing import TYPE_CHECKING

from twisted_registry.client._types import AnyReference
from twisted_registry.client.methods.base import MethodsBase
from twisted_registry.domain.aliases import AliasMove

if TYPE_CHECKING:
    from twisted_registry.client._iterators import Items


class AliasMethods(MethodsBase):
    """
    The methods of a client that are about aliases.
    """

    async def set_alias(
        self, version: AnyReference, alias: str, *, expected_number: int | None = None, reason: str = ""
    ) -> AliasMove:
        """
        Point an alias at a version.  A transient version is archived first.  The server writes the alias to its disk
        before it replies.  An aliased version is never evicted, pruned or deleted.

        If the answer is lost, the call is repeated without a second move: it does not undo what others have done since.

        Args:
            version: the version; see ``get``.
            alias: a letter, then at most 127 letters, digits, ``_`` and ``-``.
            expected_number: the number that the alias must name now; 0 if it must not exist; ``None`` for any.
            reason: why it moves, at most 1 KiB; may be empty.  The history of the alias keeps it.

        Returns:
            The move that was made; if the alias names the version already, the move that made it so.

        Raises:
            AliasMoved: the alias does not name the expected version.
            UnknownModel: there is no such model.
            UnknownVersion: the model has no such version, or it was evicted.
            UnknownAlias: the reference names an alias that does not exist.
            InvalidRequest: the alias or the reason is not allowed.
            TooManyAliases: the model has as many aliases as it may have, and this one would be new.
            StorageFull: the server's disk is full; the alias has not moved.
            UnsupportedByArchive: the server's archive cannot store aliases.
            Unsupported: the server does not have this call.
        """
        return await self._session.aliases.set(version, alias, expected_number, reason)

    async def delete_alias(
        self, model_id: str, alias: str, *, expected_number: int | None = None, reason: str = ""
    ) -> None:
        """
        Delete an alias.  Its history stays, and the version that it named as well.

        If the answer is lost, the call is repeated without a second deletion: an alias that was set since stays.

        Args:
            model_id: the model.
            alias: the alias.
            expected_number: the number that the alias must name now; ``None`` for any.
            reason: why it is deleted, at most 1 KiB; may be empty.  The history of the alias keeps it.

        Raises:
            AliasMoved: the alias does not name the expected version.
            UnknownAlias: the model has no such alias.
            UnknownModel: there is no such model.
            InvalidRequest: the reason is not allowed.
            Unsupported: the server does not have this call.
        """
        await self._session.aliases.delete(model_id, alias, expected_number, reason)

    async def aliases(self, model_id: str) -> dict[str, AliasMove]:
        """
        Return the aliases of a model.

        Args:
            model_id: the model.

        Returns:
            The last move of each alias, by alias.  ``to_number`` is the version that it names.

        Raises:
            UnknownModel: there is no such model.
            Unsupported: the server does not have this call.
        """
        return await self._session.aliases.of_model(model_id)

    def alias_moves(self, model_id: str, alias: str = "") -> "Items[AliasMove]":
        """
        List the moves of a model's aliases, the newest first.  The list is fetched in pages during the iteration.

        Args:
            model_id: the model.
            alias: one alias, which may have been deleted since; empty for all.

        Returns:
            An iterator over the moves.

        Raises:
            UnknownModel: there is no such model; like all errors, raised during the iteration.
            Unsupported: the server does not have this call.
        """
        from twisted_registry.client._iterators import Items

        return Items(self._session.aliases.moves(model_id, alias))
