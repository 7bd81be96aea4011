"""
The metrics of a model's versions: their names, and their values over the numbers of the versions.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from attrs import define, field, frozen

from twisted_registry.application.page_tokens import PageTokens
from twisted_registry.application.queries import Queries
from twisted_registry.application.search_work import SearchWork
from twisted_registry.application.version_records import VersionRecords
from twisted_registry.domain.errors import InvalidRequest
from twisted_registry.domain.fields import VERSION_FIELDS
from twisted_registry.domain.query import parse_order
from twisted_registry.domain.records import VersionRecord
from twisted_registry.domain.series import MIN_POINTS, Series, SeriesThinner
from twisted_registry.domain.snapshot import ModelSnapshot

MAX_METRICS = 16
"""The most metrics of one request."""

DEFAULT_POINTS = 1000
MAX_POINTS = 10_000

MAX_READ = 1024
"""So many versions are read one by one; for more, the index of the model is made."""

_READ_TOGETHER = 64
_BY_NUMBER = parse_order("", VERSION_FIELDS)

Remaining = Callable[[], float | None]
"""Returns the time in seconds until the client's deadline; ``None`` if it set none."""


def no_deadline() -> None:
    """
    Return that there is no deadline.
    """


@frozen
class MetricsRequest:
    """
    The versions to look at.

    Attributes:
        model_id: the model.
        first_number: the lowest number; 0 for no limit.
        last_number: the highest number; 0 for no limit.
    """

    model_id: str
    first_number: int = 0
    last_number: int = 0


@define
class MetricSummary:
    """
    The values of a metric.

    Attributes:
        name: its name.
        count: how many versions have it.
        last_number: the newest version that has it.
        last: its value there.
        low: the lowest value.
        high: the highest value.
    """

    name: str
    count: int
    last_number: int
    last: float
    low: float
    high: float

    def add(self, number: int, value: float) -> None:
        """
        Add the value of a newer version.
        """
        self.count += 1
        self.last_number, self.last = number, value
        self.low, self.high = min(self.low, value), max(self.high, value)


@frozen
class MetricsPage:
    """
    A page of metrics.

    Attributes:
        metrics: the metrics, by name.
        next_token: continues the list; empty at its end.
        total: how many metrics the list has.
    """

    metrics: Sequence[MetricSummary]
    next_token: str
    total: int


@define
class _Summaries:
    """
    The metrics of the versions looked at.
    """

    by_name: dict[str, MetricSummary] = field(factory=dict)

    def add(self, record: VersionRecord) -> None:
        for name, value in record.metrics.items():
            known = self.by_name.get(name)
            if known is None:
                self.by_name[name] = MetricSummary(name, 1, record.number, value, value, value)
            else:
                known.add(record.number, value)


@frozen
class Metrics:
    """
    The metrics of models.
    """

    _queries: Queries
    _work: SearchWork
    _records: VersionRecords

    async def names(
        self, request: MetricsRequest, size: int, token: str, remaining_seconds: Remaining = no_deadline
    ) -> MetricsPage:
        """
        Return a page of the metrics that versions have, by name.

        Args:
            size: the most metrics of the page.
            token: ``next_token`` of the page before; empty to begin.

        Raises:
            InvalidRequest: the token does not continue such a list.
            Overloaded: too many searches wait already.
            Unavailable: the versions are still being read shortly before the deadline.
            UnknownModel: there is no such model.
            TooLarge: the model has too many versions.
            StorageFailure: the archive cannot be read.
        """
        tokens = PageTokens.of("metrics", request.model_id)
        after = _name(tokens, token)
        snapshot = await self._queries.snapshot(request.model_id)
        summaries = _Summaries()
        await self._visit(snapshot, request, summaries.add, 4, remaining_seconds)
        names = sorted(name for name in summaries.by_name if after is None or name > after)
        page = [summaries.by_name[name] for name in names[:size]]
        return MetricsPage(page, tokens.encode([names[size - 1]]) if len(names) > size else "", len(summaries.by_name))

    async def series(
        self, request: MetricsRequest, names: Sequence[str], most: int, remaining_seconds: Remaining = no_deadline
    ) -> Sequence[Series]:
        """
        Return the values of metrics, in the order of their names in the request.

        Args:
            names: the names of the metrics.
            most: the most points of each series; 0 for ``DEFAULT_POINTS``.

        Raises:
            InvalidRequest: there are too many metrics or none, or too few points are asked for.
            Overloaded: too many searches wait already.
            Unavailable: the versions are still being read shortly before the deadline.
            UnknownModel: there is no such model.
            TooLarge: the model has too many versions.
            StorageFailure: the archive cannot be read.
        """
        most = _checked(names, most)
        snapshot = await self._queries.snapshot(request.model_id)
        first, last = _bounds(snapshot, request)
        thinners = [(name, SeriesThinner(name, first, last, most)) for name in names]

        def add(record: VersionRecord) -> None:
            metrics = record.metrics
            for name, thinner in thinners:
                value = metrics.get(name)
                if value is not None:
                    thinner.add(record.number, value)

        await self._visit(snapshot, request, add, len(names), remaining_seconds)
        return [thinner.series() for _, thinner in thinners]

    async def _visit(
        self,
        snapshot: ModelSnapshot,
        request: MetricsRequest,
        visit: Callable[[VersionRecord], None],
        cost: int,
        remaining_seconds: Remaining,
    ) -> None:
        """
        Look at versions, by number.

        Args:
            visit: called with each version, in any thread.
            cost: how long that takes, in usual comparisons.
        """
        first, last = _bounds(snapshot, request)
        count = snapshot.numbers.position(last + 1) - snapshot.numbers.position(first)
        if count <= MAX_READ and self._queries.registry.version_index(snapshot, _BY_NUMBER) is None:
            await self._read(snapshot, first, last, visit)
            return
        index = await self._records.index(snapshot, _BY_NUMBER, remaining_seconds())
        await self._work.apply_changes(index)
        items = index.records.ascending_items(first)

        def step(most: int) -> bool:
            examined = 0
            for number, record in islice(items, most):
                if number > last:
                    return True
                examined += 1
                if record is not None:
                    visit(record)
            return examined < most

        await self._work.run(step, cost)

    async def _read(
        self, snapshot: ModelSnapshot, first: int, last: int, visit: Callable[[VersionRecord], None]
    ) -> None:
        numbers = _until(snapshot.numbers.starting_at(first), last)
        while batch := list(islice(numbers, _READ_TOGETHER)):
            for record in await self._records.of_numbers(snapshot, batch):
                visit(record)
            await self._queries.runtime.pause()


def _until(numbers: Iterator[int], last: int) -> Iterator[int]:
    for number in numbers:
        if number > last:
            return
        yield number


def _bounds(snapshot: ModelSnapshot, request: MetricsRequest) -> tuple[int, int]:
    """
    Return the lowest and the highest number that a version to look at may have.
    """
    numbers = snapshot.numbers
    lowest, highest = (numbers.at(0), numbers.last or 0) if numbers else (1, 0)
    return max(lowest, request.first_number), min(highest, request.last_number or highest)


def _checked(names: Sequence[str], most: int) -> int:
    """
    Return how many points a series may have.

    Raises:
        InvalidRequest: they are too few, or there are too many metrics or none.
    """
    if not 1 <= len(names) <= MAX_METRICS:
        raise InvalidRequest(f"the request names {len(names)} metrics; name 1 to {MAX_METRICS}")
    if len(set(names)) < len(names):
        raise InvalidRequest("the request names a metric twice; name it once")
    if most and most < MIN_POINTS:
        raise InvalidRequest(f"max_points of {most} is too small; leave it out, or use {MIN_POINTS} to {MAX_POINTS}")
    return min(most or DEFAULT_POINTS, MAX_POINTS)


def _name(tokens: PageTokens, token: str) -> str | None:
    position = tokens.decode(token)
    if position is None:
        return None
    if len(position) != 1 or not isinstance(position[0], str):
        raise InvalidRequest("the page_token is not from this list; begin again without it")
    return position[0]
