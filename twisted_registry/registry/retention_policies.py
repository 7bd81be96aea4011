"""
The retention policies that are set.
"""

from collections.abc import Mapping, Sequence
from functools import partial

from attrs import field, frozen
from twisted.logger import Logger

from twisted_registry.domain.errors import CorruptRetention, InvalidRequest, RegistryError
from twisted_registry.domain.retention import RetentionPolicy, RetentionScope, policy_for
from twisted_registry.registry.state import State

MAX_PREFIXES = 1000
"""How many prefixes may have a policy, because all of them are in one file."""

_log = Logger(namespace="twisted_registry.registry")


@frozen(eq=False)
class RetentionPolicies:
    """
    The policies on the archive, and those of them that the background work has read.

    Clients get what the archive says.  The background work uses what it knows, and reads each policy once; a damaged
    one is read again each time, and deletes nothing meanwhile.
    """

    _state: State
    _known: dict[str, RetentionPolicy | None] = field(factory=dict)
    _known_prefixes: dict[str, RetentionPolicy] = field(factory=dict)
    _damaged: set[str] = field(factory=set)

    # On the archive

    async def find(self, scope: RetentionScope) -> tuple[RetentionScope, RetentionPolicy | None]:
        """
        See ``IRetention.find_policy``.
        """
        self._state.check_lifecycle()
        if scope.model_id is None:
            return scope, (await self.of_prefixes()).get(scope.prefix)
        self._state.index.get(scope.model_id)
        own = await self._read(scope.model_id)
        prefixes = {} if own is not None else await self.of_prefixes()
        prefix, policy = policy_for(scope.model_id, own, prefixes)
        return scope if prefix is None else RetentionScope(None, prefix), policy

    async def policy_of(
        self, model_id: str, prefixes: Mapping[str, RetentionPolicy] | None = None
    ) -> RetentionPolicy | None:
        """
        Return the policy that applies to a model.

        Args:
            prefixes: the policies of prefixes; ``None`` to read them.

        Raises:
            UnknownModel: there is no such model.
            CorruptRetention: the policy is damaged.
        """
        if prefixes is None:
            return (await self.find(RetentionScope(model_id)))[1]
        self._state.index.get(model_id)
        return policy_for(model_id, await self._read(model_id), prefixes)[1]

    async def _read(self, model_id: str) -> RetentionPolicy | None:
        return await self._state.executor.defer(partial(self._state.archive.load_retention, model_id))

    async def of_prefixes(self) -> Mapping[str, RetentionPolicy]:
        """
        Return the policies of the prefixes.

        Raises:
            CorruptRetention: they are damaged.
        """
        return await self._state.executor.defer(self._state.archive.retention_prefixes)

    async def save(self, scope: RetentionScope, policy: RetentionPolicy | None) -> None:
        """
        Replace a policy; see ``IRetention.set_policy``.
        """
        self._state.check_lifecycle()
        if scope.model_id is None:
            await self._save_prefix(scope.prefix, policy)
        else:
            await self._save(scope.model_id, policy)

    async def _save(self, model_id: str, policy: RetentionPolicy | None) -> None:
        self._state.index.get(model_id)
        async with self._state.coordination.writing(model_id):
            try:
                await self._state.executor.defer(partial(self._state.archive.save_retention, model_id, policy))
            finally:
                self._known.pop(model_id, None)

    async def _save_prefix(self, prefix: str, policy: RetentionPolicy | None) -> None:
        present = await self.of_prefixes()
        if policy is not None and prefix not in present and len(present) >= MAX_PREFIXES:
            raise InvalidRequest(f"{MAX_PREFIXES} prefixes have a policy; remove one, or use a shorter prefix")
        await self._state.executor.defer(partial(self._state.archive.save_retention_prefix, prefix, policy))

    # For the background work

    def forget(self, model_id: str) -> None:
        """
        Forget the policy of a model that was deleted.
        """
        self._known.pop(model_id, None)

    async def read_prefixes(self) -> None:
        """
        Read the policies of the prefixes.  If they are damaged, those that were read before are no longer used.
        """
        self._known_prefixes.clear()
        try:
            self._known_prefixes.update(await self.of_prefixes())
        except RegistryError as error:
            self._note_damage("", error)

    async def read(self, model_ids: Sequence[str]) -> None:
        """
        Read the policies of some models, unless they are known.
        """
        unknown = {model_id: self._state.index.find(model_id) for model_id in model_ids if model_id not in self._known}
        if unknown:
            for model_id, found in await self._state.executor.defer(partial(self._load, list(unknown))):
                if isinstance(found, RegistryError):
                    self._note_damage(model_id, found)
                elif self._state.index.find(model_id) is unknown[model_id]:  # else it was deleted meanwhile
                    self._known[model_id] = found

    def _load(self, model_ids: Sequence[str]) -> list[tuple[str, RetentionPolicy | RegistryError | None]]:
        return [(model_id, self._load_one(model_id)) for model_id in model_ids]

    def _load_one(self, model_id: str) -> RetentionPolicy | RegistryError | None:
        try:
            return self._state.archive.load_retention(model_id)
        except RegistryError as error:
            return error

    def _note_damage(self, subject: str, error: RegistryError) -> None:
        if isinstance(error, CorruptRetention) and subject not in self._damaged:
            self._damaged.add(subject)
            _log.error("damage in the archive, so nothing is deleted by this policy: {error}", error=error)

    def applying_to(self, model_id: str) -> RetentionPolicy | None:
        """
        Return the policy that applies to a model, if it is known and deletes anything.
        """
        if model_id not in self._known:
            return None  # it is damaged, or the archive failed
        _, policy = policy_for(model_id, self._known[model_id], self._known_prefixes)
        return None if policy is None or policy.keeps_all else policy
