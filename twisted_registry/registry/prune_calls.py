"""
The pruning that a client asked for, at the client's speed.
"""

from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from zope.interface import implementer

from twisted_registry.contracts.retention import IPruning
from twisted_registry.domain.errors import CorruptModel, CorruptRetention, Unavailable, UnknownModel
from twisted_registry.domain.retention import (
    Deleted,
    PrunedModel,
    PrunePlan,
    PruneRequest,
    RetentionPolicy,
    RetentionScope,
    SkippedModel,
)
from twisted_registry.registry.pruning import Pruner, PruneRun, log_run

NUMBERS_AT_ONCE = 10_000
"""How many versions one step of a dry run reports."""


@implementer(IPruning)
@define(eq=False)
class PruneCall:
    """
    The pruning of some models, one after the other.

    Attributes:
        _start: starts the run over a model; returns ``None`` if no policy deletes anything of it.
        _defer: starts a coroutine that the registry waits for before it closes.
        _deleted: called with the versions that a step has deleted.
        _exclusive: returns the context of a step, in which no policy that the call uses is replaced.
        run: the run over the present model; ``None`` between two models.
        prefixes: the policies of prefixes, read once for all models; ``None`` if they are not read, or were replaced.
        is_stopped: whether the registry is stopping.
    """

    _pruner: Pruner
    _start: Callable[[str], Coroutine[Deferred[Any], Any, PruneRun | None]]
    _defer: Callable[[Coroutine[Deferred[Any], Any, Any]], Deferred[Any]]
    _exclusive: Callable[[], AbstractAsyncContextManager[None]]
    _request: PruneRequest
    _deleted: Deleted
    _model_ids: Iterator[str]
    run: PruneRun | None = None
    prefixes: Mapping[str, RetentionPolicy] | None = None
    is_stopped: bool = False
    _is_stepping: bool = field(default=False, init=False)
    _is_closed: bool = field(default=False, init=False)

    def note_policy(self, scope: RetentionScope) -> None:
        """
        Note that a policy was replaced: the one before deletes nothing more.  A dry run goes on with it, because a part
        of its plan may be reported already.
        """
        if self._request.policy is not None or self._request.dry_run:
            return
        if scope.model_id is None:
            self.prefixes = None
        if self.run is not None and scope.covers(self.run.model_id):
            self.run.is_outdated = True

    def next(self) -> Deferred[PrunedModel | SkippedModel | None]:
        """See ``IPruning.next``."""
        return self._defer(self._next())

    async def _next(self) -> PrunedModel | SkippedModel | None:
        if self.is_stopped:
            raise Unavailable("the registry is stopping; prune again when it is back")
        model_id = next(self._model_ids, None) if self.run is None else self.run.model_id
        if model_id is None:
            return None
        self._is_stepping = True
        try:
            async with self._exclusive():
                return PrunedModel(model_id, PrunePlan(await self._step(model_id)))
        except (UnknownModel, CorruptModel, CorruptRetention) as error:
            self._end()
            if self._request.scope.model_id is not None:
                raise
            return SkippedModel(model_id, error)
        except BaseException:
            self._end()
            raise
        finally:
            self._is_stepping = False
            if self._is_closed:
                self._end()

    async def _step(self, model_id: str) -> dict[int, int]:
        """
        Make one step of a model's run.

        Returns:
            the sizes of the versions that were deleted, or would be, by number.
        """
        if self.run is not None and self.run.is_outdated:
            self._end()  # begin again with the policy that applies now
        if self.run is None:
            self.run = await self._start(model_id)
            return {}
        if self.run.plan is None:
            await self._pruner.plan_some(self.run)
            return {}
        if self._request.dry_run:
            sizes = self.run.take(NUMBERS_AT_ONCE)
        else:
            sizes = await self._pruner.delete_some(self.run)
            if sizes:
                self._deleted(model_id, list(sizes))
        if not sizes:
            self._end()
        return sizes

    def close(self) -> Deferred[None]:
        """See ``IPruning.close``."""
        return self._defer(self._close())

    async def _close(self) -> None:
        self._is_closed = True
        if not self._is_stepping:
            self._end()

    def _end(self) -> None:
        run, self.run = self.run, None
        if run is not None:
            log_run(run.model_id, run.deleted)
