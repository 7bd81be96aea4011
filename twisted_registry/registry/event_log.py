"""
The log of the registry's events.
"""

from collections.abc import Callable
from functools import partial

from twisted.logger import Logger

from twisted_registry.contracts.coordination import ICoordination
from twisted_registry.domain.events import VersionEvicted
from twisted_registry.repeated_lines import CallLater, RepeatedLines

_log = Logger(namespace="twisted_registry.registry")


class EvictionLog:
    """
    The count of evicted versions that were the latest of their model, and a warning at most once a minute.

    The latest version of a model is evicted only after all versions that are not the latest of theirs.  So this
    happens only if the latest versions alone exceed the budget.

    Attributes:
        count: how many such evictions there were.
    """

    def __init__(self, seconds: Callable[[], float], call_later: CallLater | None = None) -> None:
        """

        Args:
            seconds: returns the time in seconds from any fixed point.
            call_later: see ``RepeatedLines``.
        """
        self.count = 0
        self._lines = RepeatedLines(seconds, call_later)
        self._model_ids: set[str] = set()

    def follow(self, coordination: ICoordination) -> None:
        """
        Subscribe to the events.
        """
        coordination.subscribe(self._evicted, VersionEvicted)

    def _evicted(self, event: VersionEvicted) -> None:
        if not event.is_latest:
            return
        self.count += 1
        self._model_ids.add(event.model_id)
        self._lines.happened("", partial(self._log, event))

    def _log(self, event: VersionEvicted, times: int) -> None:
        models = len(self._model_ids)
        self._model_ids.clear()
        _log.warn(
            "the latest version of model {id!r} was evicted and is not archived{more}: the memory for versions is too "
            "small for the latest version of each model; raise {limit}",
            id=event.model_id,
            more=f" ({times - 1} more since the last line; {models} models in all)" if times > 1 else "",
            limit="its quota" if event.exceeded == "quota" else f"--version-cache-max-{event.exceeded}",
        )
