"""
The work of searches that takes long: in the thread for searches, a few searches at once.
"""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import TypeVar

from attrs import frozen

from twisted_registry.application.queries import Queries
from twisted_registry.contracts.application import IBudget
from twisted_registry.domain.filters import Filter
from twisted_registry.domain.query import Query
from twisted_registry.domain.search import VersionSearch
from twisted_registry.domain.version_index import VersionIndex

T = TypeVar("T")

_AT_ONCE = 256
"""So many comparisons are made in the thread of the use cases, in about 200 microseconds: waking another one takes as
long."""

_CHANGES_AT_ONCE = 32
"""So many changes of an index are made there, in less than a millisecond."""

_PER_JOB = 1024
_SHORT_CHARACTERS = 512
"""A longer query is compiled in the other thread: the longest filters take tens of milliseconds."""


@frozen
class SearchWork:
    """
    The work of searches.

    Attributes:
        _slots: the slots for searches that take long.
    """

    _queries: Queries
    _slots: IBudget

    async def compiled(self, length: int, compile_query: Callable[[], Query]) -> Query:
        """
        Compile a query.

        Args:
            length: its length in characters.
            compile_query: compiles it.

        Raises:
            Overloaded: too many searches wait already.
        """
        if length <= _SHORT_CHARACTERS:
            return compile_query()
        found: list[Query] = []

        def step() -> bool:
            found.append(compile_query())
            return True

        await self._run(step)
        return found[0]

    async def matching(self, records: Sequence[T], condition: Filter) -> Sequence[T]:
        """
        Return those of some records that match a filter.

        Raises:
            Overloaded: too many searches wait already.
        """
        if len(records) * condition.cost <= _AT_ONCE:
            return list(filter(condition.matches, records))
        found: list[T] = []
        rest = iter(records)

        def step() -> bool:
            part = list(islice(rest, _records(_PER_JOB, condition)))
            found.extend(filter(condition.matches, part))
            return not part

        await self._run(step)
        return found

    async def apply_changes(self, index: VersionIndex) -> None:
        """
        Make the pending changes of an index, if they are many.

        Raises:
            Overloaded: too many searches wait already.
        """
        if index.pending <= _CHANGES_AT_ONCE:
            return

        def step() -> bool:
            index.apply()
            return True

        await self._run(step)

    async def finish(self, search: VersionSearch, condition: Filter) -> None:
        """
        Run a search to its end.

        Args:
            condition: its filter.

        Raises:
            Overloaded: too many searches wait already.
        """
        await self.run(search.step, condition.cost)

    async def run(self, step: Callable[[int], bool], cost: int) -> None:
        """
        Look at records until there are no more.

        Args:
            step: looks at the next records, at most so many; returns whether it has ended.
            cost: how long a record takes, in usual comparisons.

        Raises:
            Overloaded: too many searches wait already.
        """
        if not step(max(1, _AT_ONCE // max(1, cost))):
            await self._run(lambda: step(max(1, _PER_JOB // max(1, cost))))

    async def _run(self, step: Callable[[], bool]) -> None:
        slot = await self._slots.reserve(1)
        try:
            executor = self._queries.registry.search_executor()
            while not await self._queries.runtime.result(executor.submit(step, 0)):
                pass
        finally:
            slot.release()


def _records(comparisons: int, condition: Filter) -> int:
    return max(1, comparisons // max(1, condition.cost))
