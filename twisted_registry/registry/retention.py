"""
Retention: the policies, and their application in the background.
"""

from collections.abc import Callable, Coroutine
from contextlib import nullcontext
from functools import partial
from typing import Any, TypeVar
from weakref import WeakSet

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from twisted_registry.contracts.retention import IPruning, IRetention
from twisted_registry.domain.errors import RegistryError
from twisted_registry.domain.events import AliasChanged, Event, ModelDeleted, VersionAnnotated, VersionCommitted
from twisted_registry.domain.retention import Deleted, PruneRequest, RetentionPolicy, RetentionScope, ignore_deleted
from twisted_registry.mutexes import KeyedMutexes
from twisted_registry.registry.loading import Loader
from twisted_registry.registry.prune_calls import PruneCall
from twisted_registry.registry.pruning import VERSIONS_AT_ONCE, Pruner, PruneRun, log_run, log_unknown_metrics
from twisted_registry.registry.retention_policies import RetentionPolicies
from twisted_registry.registry.state import State

T = TypeVar("T")

INTERVAL_SECONDS = 60.0
"""How often all models are looked at: versions grow old without an event."""

IDLE_SECONDS = 1.0
"""The pause if nothing is to be done."""

PAUSE_SECONDS = 0.2
"""The shortest pause between steps: at most 320 versions are deleted per second."""

_STEP_SECONDS = 0.02
_PAUSE_SHARE = 3.0
"""A pause takes at least so many times as long as the step before it, so that a slow disk has time for others."""

_RUN_PAUSE_SECONDS = 10.0
_RUN_PAUSE_SHARE = 20.0
"""The pause between the runs of a model, as a time and as a multiple of the time that the next plan will take."""

_MODELS_AT_ONCE = 64

_log = Logger(namespace="twisted_registry.registry")


@implementer(IRetention)
class Retention:
    """
    The policies of all models.

    After a commit, and once a minute, a model is *due*.  Each call of ``apply_policies`` makes one small step of one
    run.  A restart needs no record of it: what is left to delete is computed again.
    """

    def __init__(
        self,
        state: State,
        loader: Loader,
        pruner: Pruner,
        run: Callable[[Coroutine[Deferred[Any], Any, Any]], Deferred[Any]],
        now_ns: Callable[[], int],
        seconds: Callable[[], float],
        is_busy: Callable[[], bool],
        deleted: Deleted = ignore_deleted,
    ) -> None:
        """

        Args:
            run: starts a coroutine that the registry waits for before it closes.
            now_ns: returns the time in nanoseconds since the Unix epoch.
            seconds: returns the time in seconds from any fixed point.
            is_busy: returns whether other background work uses the archive, so that this one waits.
            deleted: called with the versions that a policy has deleted in the background.
        """
        self._state = state
        self._loader = loader
        self._pruner = pruner
        self._run = run
        self._now_ns = now_ns
        self._seconds = seconds
        self._is_busy = is_busy
        self._deleted = deleted
        self._policies = RetentionPolicies(state)
        # Held while a version is deleted by a policy that is set, and while that is replaced.
        self._mutexes = KeyedMutexes()
        self._due: dict[str, None] = {}
        self._next_look_seconds = seconds()
        self._next_run_seconds: dict[str, float] = {}
        self._runs: dict[str, PruneRun] = {}
        # Those that were logged, by model: each run finds them again.
        self._unknown_metrics: dict[str, tuple[str, ...]] = {}
        # Those that their callers still hold.
        self._called: WeakSet[PruneCall] = WeakSet()
        self._is_stopped = False
        if state.archive.has_lifecycle:
            state.coordination.subscribe(self._changed, VersionCommitted, VersionAnnotated, AliasChanged, ModelDeleted)

    def stop(self) -> None:
        """See ``IRetention.stop``."""
        self._is_stopped = True
        for call in self._called:
            call.is_stopped = True

    def _changed(self, event: Event) -> None:
        self._due[event.model_id] = None
        if isinstance(event, VersionAnnotated):
            for run in (*self._runs.values(), *(call.run for call in self._called)):
                if run is not None and run.model_id == event.model_id:
                    run.annotated.add(event.key.version_number)
        elif isinstance(event, ModelDeleted):
            self._policies.forget(event.model_id)
            self._next_run_seconds.pop(event.model_id, None)
            self._unknown_metrics.pop(event.model_id, None)

    # The calls of clients

    def set_policy(self, scope: RetentionScope, policy: RetentionPolicy | None) -> Deferred[None]:
        """See ``IRetention.set_policy``."""
        return self._run(self._set_policy(scope, policy))

    async def _set_policy(self, scope: RetentionScope, policy: RetentionPolicy | None) -> None:
        async with self._mutexes.hold("policies"):
            try:
                await self._policies.save(scope, policy)
            finally:
                for run in self._runs.values():
                    run.is_outdated = True
                for call in self._called:
                    call.note_policy(scope)
                self._next_look_seconds = self._seconds()
                self._next_run_seconds.clear()
                self._unknown_metrics.clear()

    def find_policy(self, scope: RetentionScope) -> Deferred[tuple[RetentionScope, RetentionPolicy | None]]:
        """See ``IRetention.find_policy``."""
        return self._run(self._policies.find(scope))

    def prune(self, request: PruneRequest, deleted: Deleted = ignore_deleted) -> Deferred[IPruning]:
        """See ``IRetention.prune``."""
        return self._run(self._prune(request, deleted))

    async def _prune(self, request: PruneRequest, deleted: Deleted) -> IPruning:
        self._state.check_lifecycle()
        model_ids = self._model_ids(request.scope)
        if request.only is not None:
            model_ids = [model_id for model_id in model_ids if model_id in request.only]
        uses_prefixes = request.scope.model_id is None and request.policy is None

        async def start(model_id: str) -> PruneRun | None:
            if uses_prefixes and call.prefixes is None:
                call.prefixes = await self._policies.of_prefixes()
            policy = request.policy or await self._policies.policy_of(model_id, call.prefixes)
            if policy is None or policy.keeps_all:
                return None
            only = None if request.only is None else request.only[model_id]
            return self._pruner.run(await self._loader.snapshot(model_id), policy, self._now_ns(), only)

        exclusive = nullcontext if request.policy is not None else partial(self._mutexes.hold, "policies")
        call = PruneCall(self._pruner, start, self._run, exclusive, request, deleted, iter(model_ids))
        call.is_stopped = self._is_stopped
        self._called.add(call)
        if uses_prefixes:
            async with exclusive():
                call.prefixes = await self._policies.of_prefixes()
        return call

    def _model_ids(self, scope: RetentionScope) -> list[str]:
        if scope.model_id is not None:
            return [self._state.index.get(scope.model_id).model_id]
        ids = (model.model_id for model in self._state.index.models())
        return sorted(model_id for model_id in ids if model_id.startswith(scope.prefix))

    # In the background

    def apply_policies(self) -> Deferred[float]:
        """See ``IRetention.apply_policies``."""
        return self._run(self._apply_policies())

    async def _apply_policies(self) -> float:
        if self._is_stopped or not self._state.archive.has_lifecycle:
            return IDLE_SECONDS
        if self._is_busy():
            return PAUSE_SECONDS
        began = self._seconds()
        try:
            async with self._mutexes.hold("policies"):  # a policy that is saved meanwhile outdates the runs begun here
                await self._look(began)
                await self._start_runs(began)
            is_done = await self._step(began)
        except Exception as error:  # the background work goes on, whatever a provider raises
            if not isinstance(error, RegistryError):
                _log.failure("retention policies cannot be applied now")
            is_done = True
        busy_seconds = self._seconds() - began
        return IDLE_SECONDS if is_done else max(PAUSE_SECONDS, _PAUSE_SHARE * busy_seconds)

    async def _look(self, now: float) -> None:
        if now < self._next_look_seconds:
            return
        self._next_look_seconds = now + INTERVAL_SECONDS
        await self._policies.read_prefixes()
        self._due.update(dict.fromkeys(model.model_id for model in self._state.index.models()))

    async def _start_runs(self, now: float) -> None:
        ready = [model_id for model_id in self._due if self._next_run_seconds.get(model_id, now) <= now]
        ready = [model_id for model_id in ready if model_id not in self._runs][:_MODELS_AT_ONCE]
        await self._policies.read([model_id for model_id in ready if self._state.index.find(model_id) is not None])
        for model_id in ready:
            self._due.pop(model_id, None)
            policy = self._policies.applying_to(model_id)
            if policy is not None:
                await self._start_run(model_id, policy)

    async def _start_run(self, model_id: str, policy: RetentionPolicy) -> None:
        try:
            snapshot = await self._loader.snapshot(model_id)
        except RegistryError:
            return  # deleted or damaged, which those who ask for it learn
        self._runs[model_id] = self._pruner.run(snapshot, policy, self._now_ns())

    async def _step(self, began: float) -> bool:
        """
        Make steps of runs, in turns, until some time has passed or some versions were deleted.

        Returns:
            whether nothing is left to do for now.
        """
        deleted = 0
        while self._runs and deleted < VERSIONS_AT_ONCE and not self._is_stopped:
            model_id = next(iter(self._runs))
            run = self._runs.pop(model_id)
            self._runs[model_id] = run  # the last one now
            is_over, count = await self._advance(run)
            deleted += count
            if is_over:
                self._end(run)
            if self._seconds() - began >= _STEP_SECONDS:
                break
        return not self._runs

    async def _advance(self, run: PruneRun) -> tuple[bool, int]:
        """
        Make one step of a run.

        Returns:
            whether the run is over; how many versions were deleted.
        """
        try:
            async with self._mutexes.hold("policies"):
                if run.is_outdated:
                    return True, 0
                if run.plan is None:
                    began = self._seconds()
                    await self._pruner.plan_some(run)
                    run.planning_seconds += self._seconds() - began
                    return False, 0
                deleted = await self._pruner.delete_some(run)
                if deleted:
                    self._deleted(run.model_id, list(deleted))
                return not deleted, len(deleted)
        except RegistryError:
            return True, 0

    def _end(self, run: PruneRun) -> None:
        del self._runs[run.model_id]
        if not run.is_outdated:
            pause_seconds = max(_RUN_PAUSE_SECONDS, _RUN_PAUSE_SHARE * run.next_planning_seconds)
            self._next_run_seconds[run.model_id] = self._seconds() + pause_seconds
        log_run(run.model_id, run.deleted)
        if run.plan is not None and not run.is_outdated:
            self._note_unknown_metrics(run.model_id, run.plan.unknown_metrics)

    def _note_unknown_metrics(self, model_id: str, metrics: tuple[str, ...]) -> None:
        if metrics == self._unknown_metrics.get(model_id, ()):
            return
        if not metrics:
            del self._unknown_metrics[model_id]
            return
        self._unknown_metrics[model_id] = metrics
        log_unknown_metrics(model_id, metrics)
