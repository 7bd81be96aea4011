"""
The quotas of what models store.
"""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from twisted.internet.defer import Deferred

from twisted_registry.domain.quotas import Quota
from twisted_registry.registry.archive_counting import ArchiveCounting
from twisted_registry.registry.state import State


class StorageQuotas:
    """
    The quotas in force, and their replacement.
    """

    def __init__(
        self,
        state: State,
        counting: ArchiveCounting,
        run: Callable[[Coroutine[Deferred[Any], Any, None]], object],
    ) -> None:
        """

        Args:
            counting: counts what models have in the archive.
            run: starts a coroutine that the registry waits for before it closes.
        """
        self._state = state
        self._counting = counting
        self._run = run
        self._quotas: Sequence[Quota] = ()
        self._is_open = False

    def use(self, quotas: Sequence[Quota]) -> None:
        """
        See ``IRegistry.use_quotas``.
        """
        self._quotas = quotas
        of_memory = [quota for quota in quotas if quota.limits_memory]
        self._run(self._state.transients.use_quotas(of_memory, self._state.held_versions))
        if self._is_open:
            self._use_in_archive()

    def open(self) -> None:
        """
        Begin to count: it is known which models there are.
        """
        self._is_open = True
        self._use_in_archive()

    def _use_in_archive(self) -> None:
        quotas = [quota for quota in self._quotas if quota.archive_bytes is not None]
        usage = self._state.usage
        if list(usage.quotas) != quotas:
            usage.replace(quotas, [model.model_id for model in self._state.index.models()])
            self._counting.start(usage.uncounted)
