"""
The search index of one model, kept current.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count

from attrs import define, evolve, field

from twisted_registry.domain.aliases import AliasMove, aliases_of
from twisted_registry.domain.query import Order
from twisted_registry.domain.records import VersionRecord
from twisted_registry.domain.version_index import OrderTree, Records, VersionIndex, changed_order

MAX_ORDERS = 8
"""The most orders of a model.  Each of them makes every change of a version slower."""

_RECORD_BYTES = 800
_PAIR_BYTES = 150
_ORDERED_FIELD_BYTES = 100
"""The approximate memory for a version, for a pair of metadata, and for a version's value of a field in an order."""

_GROWTH_BYTES = 1024 * 1024

_uses = count(1)


def record_size_bytes(record: VersionRecord) -> int:
    """
    Estimate the memory for a version in an index.
    """
    info, annotations = record.info, record.annotations
    size_bytes = _RECORD_BYTES
    for texts in (info.metadata, annotations.labels):
        for key, value in texts.items():
            size_bytes += _PAIR_BYTES + len(key) + len(value)
    for key in annotations.metrics:
        size_bytes += _PAIR_BYTES + len(key)
    return size_bytes


def aliases_by_number(aliases: Mapping[str, AliasMove]) -> Mapping[int, tuple[str, ...]]:
    """
    Return the aliases of each version that has any, sorted.

    Args:
        aliases: the last moves of all aliases.
    """
    names: dict[int, tuple[str, ...]] = {}
    for alias in sorted(aliases):
        number = aliases[alias].to_number
        names[number] = (*names.get(number, ()), alias)
    return names


@define(eq=False)
class ModelSearch:
    """
    The search index of a model.  Changed in the reactor's thread; any thread may read ``index``, which is replaced
    whole.

    Attributes:
        index: the versions.
        is_loaded: whether the versions that the archive had before are in the index.
        damaged: the numbers of damaged versions, which are not in the index.
        read_count: how many of these were read so far.
        retry_seconds: when the damaged versions are to be read again, in seconds of the registry's clock.
        last_use: counts the searches of all models.
        records_bytes: the approximate memory for the versions, without the orders.
        loading_bytes: the approximate memory for the versions that were read and are not in the index yet.
    """

    _on_growth: Callable[[], None]
    index: VersionIndex = field(factory=VersionIndex)
    is_loaded: bool = False
    damaged: set[int] = field(factory=set)
    read_count: int = 0
    retry_seconds: float = 0.0
    last_use: int = 0
    records_bytes: int = 0
    loading_bytes: int = 0
    _grown_bytes: int = 0
    _order_uses: dict[Order, int] = field(factory=dict)
    _observed: list[set[int]] = field(factory=list)

    @property
    def size_bytes(self) -> int:
        """
        The approximate memory for the index, in bytes.
        """
        return self.records_bytes + self.loading_bytes + self.index.ordered_fields * _ORDERED_FIELD_BYTES

    def use(self, order: Order) -> None:
        """
        Record that somebody searches in an order.  May be called in any thread.
        """
        self.last_use = next(_uses)
        if order in self._order_uses:  # changed in the reactor's thread alone, with the orders
            self._order_uses[order] = self.last_use

    # Changes of the model

    def put(self, record: VersionRecord) -> None:
        """
        Add a version, or replace it.
        """
        self._put([record])

    def _put(self, records: Iterable[VersionRecord]) -> None:
        # All of them appear at once: searches in other threads see an alias name one version at any time.
        index, grown_bytes = self.index, 0
        for record in records:
            before = index.get(record.number)
            index = index.with_record(record)
            self.damaged.discard(record.number)
            self._observe(record.number)
            grown_bytes += record_size_bytes(record) - (0 if before is None else record_size_bytes(before))
        self.index = index
        self._grow(grown_bytes)

    def remove(self, number: int) -> None:
        """
        Remove a version, if it is there.
        """
        before = self.index.get(number)
        self.damaged.discard(number)
        self._observe(number)
        if before is not None:
            self.index = self.index.without(number)
            self._grow(-record_size_bytes(before))

    def move_aliases(
        self, moves: Iterable[AliasMove], aliases: Mapping[str, AliasMove], added: VersionRecord | None = None
    ) -> None:
        """
        Replace the versions that aliases named before and name now.

        Args:
            aliases: the last moves of all aliases.
            added: a version that appears with the moves.
        """
        changed = [] if added is None else [added]
        numbers = {number for move in moves for number in (move.from_number, move.to_number)}
        for number in numbers.difference([record.number for record in changed]):
            record = self.index.get(number)
            if record is not None:
                changed.append(evolve(record, aliases=aliases_of(aliases, number)))
        self._put(changed)

    def _observe(self, number: int) -> None:
        for observed in self._observed:
            observed.add(number)

    def _grow(self, size_bytes: int) -> None:
        self.records_bytes += size_bytes
        self._grown_bytes += size_bytes
        if self._grown_bytes > _GROWTH_BYTES:
            self._grown_bytes = 0
            self._on_growth()

    # Parts that are made in other threads

    @contextmanager
    def observed(self) -> Iterator[set[int]]:
        """
        Collect the numbers of the versions that change while the context is open.
        """
        changed: set[int] = set()
        self._observed.append(changed)
        try:
            yield changed
        finally:
            self._observed = [each for each in self._observed if each is not changed]

    def add_loaded(
        self, records: Records, size_bytes: int, changed: set[int], aliases: Mapping[str, AliasMove]
    ) -> None:
        """
        Add the versions that the archive had.

        Args:
            records: the versions, without their aliases.  None of them has changed since it was read, except those in
                ``changed``.
            size_bytes: the approximate memory for them.
            changed: the numbers of the versions that have changed since.
            aliases: the last moves of all aliases.
        """
        present = self.index.records
        for number in changed:
            before, after = records.get(number), present.get(number)
            if before is not None:
                size_bytes -= record_size_bytes(before)
                records = records.remove(number) if after is None else records.replace(number, after)
            elif after is not None:
                records = records.insert(number, after)
        for number, names in aliases_by_number(aliases).items():
            record = records.get(number)
            if record is not None:
                records = records.replace(number, evolve(record, aliases=names))
        self.index = VersionIndex(records)
        self.records_bytes += size_bytes
        self.loading_bytes = 0
        self.is_loaded = True

    def add_order(self, order: Order, tree: OrderTree, sorted_from: Records, changed: set[int]) -> None:
        """
        Add an order.

        Args:
            tree: the versions in this order, as they were.
            sorted_from: the versions as they were.
            changed: the numbers of the versions that have changed since.
        """
        for number in changed:
            tree = changed_order(tree, order, sorted_from.get(number), self.index.get(number))
        index = self.index
        if len(index.orders) >= MAX_ORDERS:
            index = index.without_order(min(index.orders, key=lambda each: self._order_uses.get(each, 0)))
        self.index = index.with_order(order, tree)
        self._order_uses = {key: self._order_uses.get(key, self.last_use) for key in self.index.orders}
