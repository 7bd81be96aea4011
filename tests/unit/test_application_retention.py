"""
Tests of the pruning that ends with its caller.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.application.retention import RetentionRules
from twisted_registry.domain.errors import UnknownModel
from twisted_registry.domain.retention import (
    Deleted,
    PrunedModel,
    PrunePlan,
    PruneRequest,
    RetentionScope,
    SkippedModel,
)

PART = PrunedModel("m", PrunePlan({1: 10}))


@define
class Steps:
    """
    A pruning whose steps are given; the last one never ends.
    """

    left: list[Any]
    is_closed: bool = False

    def next(self) -> Deferred[Any]:
        """See ``IPruning.next``."""
        return succeed(self.left.pop(0)) if self.left else Deferred()

    def close(self) -> Deferred[None]:
        """See ``IPruning.close``."""
        self.is_closed = True
        return succeed(None)


@define
class Runtime:
    """
    A runtime and a registry in one thread.
    """

    steps: Steps
    requests: list[PruneRequest] = field(factory=list)

    @property
    def registry(self) -> Any:
        """
        The registry.
        """
        return self

    retention = runtime = registry

    def prune(self, request: PruneRequest, deleted: Deleted) -> Deferred[Steps]:
        """See ``IRetention.prune``."""
        self.requests.append(request)
        return succeed(self.steps)

    async def call(self, function: Callable[[], Deferred[Any]]) -> Any:
        """See ``IRuntime.call``."""
        return await function().asFuture(asyncio.get_running_loop())

    def start(self, function: Callable[[], Deferred[Any]], when_done: Callable[[], None]) -> Any:
        """See ``IRuntime.start``."""
        return function().addCallback(lambda _: when_done())


class PruneTests(SynchronousTestCase):
    """
    Pruning, step by step.
    """

    def rules(self, *steps: Any) -> RetentionRules:
        """
        Return the rules of a registry whose pruning makes given steps.
        """
        self.steps = Steps(list(steps))
        queries: Any = Runtime(self.steps)
        return RetentionRules(queries)

    def test_to_the_end(self) -> None:
        """
        Steps that found nothing are left out; at the end it is closed.
        """
        skipped = SkippedModel("n", UnknownModel("n"))
        rules = self.rules(PrunedModel("m", PrunePlan()), PART, skipped, None)

        async def prune() -> list[Any]:
            return [step async for step in rules.prune(PruneRequest(RetentionScope(None)))]

        self.assertEqual(asyncio.run(prune()), [PART, skipped])
        self.assertTrue(self.steps.is_closed)

    def test_cancelled(self) -> None:
        """
        A caller that is cancelled during a step closes it.
        """
        rules = self.rules(PART)
        seen: list[Any] = []

        async def prune() -> None:
            async for step in rules.prune(PruneRequest(RetentionScope("m"))):
                seen.append(step)
                task = asyncio.current_task()
                assert task is not None
                asyncio.get_running_loop().call_soon(task.cancel)

        async def run() -> bool:
            child = asyncio.create_task(prune())
            await asyncio.wait([child])
            return child.cancelled()

        self.assertEqual((asyncio.run(run()), seen, self.steps.is_closed), (True, [PART], True))
