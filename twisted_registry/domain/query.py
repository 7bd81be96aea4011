"""
Queries: a filter, an order, and what an index needs of both.
"""

from collections.abc import Iterable, Sequence
from functools import total_ordering
from math import isnan
from typing import Any

from attrs import frozen

from twisted_registry.domain.errors import InvalidFilter, InvalidRequest
from twisted_registry.domain.fields import Field, Fields, Kind
from twisted_registry.domain.filter_syntax import Tokens, read_path
from twisted_registry.domain.filters import Bound, Filter, compile_filter

MAX_ORDER_KEYS = 10

Position = Sequence[Any]
"""The values of the fields of an order, and of its tie-break, of one record.  They are values of JSON."""


@frozen
class OrderKey:
    """
    A field to order by.

    Attributes:
        field: the field.
        is_descending: whether higher values come first.  Records without a value come last either way.
    """

    field: Field
    is_descending: bool = False

    def comparable(self, value: Any) -> Any:
        """
        Return what stands for a value of the field in ascending keys.
        """
        if not self.is_descending:
            return value
        return _Descending(value) if isinstance(value, str) else -value


@frozen
class Order:
    """
    An order of records in which no two are equal.

    Attributes:
        keys: the fields to order by.  The last one is the tie-break: the number of a version, the id of a model.
    """

    keys: tuple[OrderKey, ...]

    def key(self, record: Any) -> tuple[Any, ...]:
        """
        Return the key of a record for ``sorted``.
        """
        found: list[Any] = []
        for each in self.keys:
            value = each.field.get(record)
            # An absent value, and NaN, which cannot be compared, come last.
            if value is None or value != value:  # noqa: PLR0124
                found += (True, 0)
            else:
                found += (False, each.comparable(value))
        return tuple(found)

    def sort(self, records: Iterable[Any]) -> list[Any]:
        """
        Return records in this order.  This is much faster than to sort by ``key``.
        """
        found = list(records)
        for each in reversed(self.keys):
            found = _sorted(found, each)
        return found

    def position(self, record: Any) -> Position:
        """
        Return the position of a record in the order, for a page token.
        """
        values = (each.field.get(record) for each in self.keys)
        return [None if isinstance(value, float) and isnan(value) else value for value in values]

    def key_at(self, position: Position) -> tuple[Any, ...]:
        """
        Return the key of the record that had a position.

        Raises:
            InvalidRequest: the position is not from this order.
        """
        if len(position) != len(self.keys) or not all(map(_is_value, self.keys, position)):
            raise InvalidRequest("the page token is not from this order; begin again without it")
        found: list[Any] = []
        for each, value in zip(self.keys, position, strict=True):
            is_absent = value is None
            found += (is_absent, 0 if is_absent else each.comparable(value))
        return tuple(found)


def _is_value(key: OrderKey, value: Any) -> bool:
    if value is None:
        return True
    match key.field.kind:
        case Kind.FLAG:
            return isinstance(value, bool)
        case Kind.TEXT | Kind.SHA256:
            return isinstance(value, str)
        case _:
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            return is_number and not (isinstance(value, float) and isnan(value))


def _sorted(records: list[Any], key: OrderKey) -> list[Any]:
    # Plain values of one type compare fast, and sorting is stable in both directions.
    values = list(map(key.field.get, records))
    present = [index for index, value in enumerate(values) if value is not None and value == value]  # noqa: PLR0124
    absent = [] if len(present) == len(records) else sorted(set(range(len(records))).difference(present))
    present.sort(key=values.__getitem__, reverse=key.is_descending)
    return [records[index] for index in [*present, *absent]]


@total_ordering
@frozen(eq=True, order=False)
class _Descending:
    """
    A text that comes before those that it comes after otherwise.
    """

    text: str

    def __lt__(self, other: "_Descending") -> bool:
        return self.text > other.text


def parse_order(text: str, fields: Fields) -> Order:
    """
    Parse an order, such as ``metrics.return desc, created``.

    Args:
        text: the order; if it is empty, the tie-break alone decides.
        fields: the fields that it can name.

    Raises:
        InvalidFilter: it cannot be understood.
    """
    tokens = Tokens(text, "order_by")
    keys: list[OrderKey] = []
    while tokens.next.kind != "end":
        keys.append(_order_key(tokens, fields, keys))
        if tokens.next.kind == "end":
            break
        if tokens.next.text != ",":
            tokens.fail(tokens.next.column, f"expected asc, desc, a comma or the end, found {tokens.next.shown}")
        tokens.take()
        if tokens.next.kind == "end":
            tokens.fail(tokens.next.column, "expected a field after the comma")
    if fields.tie_break not in (each.field for each in keys):
        keys.append(OrderKey(fields.tie_break))
    return Order(tuple(keys))


def _order_key(tokens: Tokens, fields: Fields, keys: Sequence[OrderKey]) -> OrderKey:
    path = read_path(tokens)
    column = path.columns[0]
    try:
        found = fields.find(path.segments)
    except ValueError as error:
        raise InvalidFilter("order_by", column, str(error)) from None
    if found.kind in (Kind.NAMES, Kind.MAP):
        tokens.fail(
            column, f"{path.segments[0]} has no order" + ("; name a key of it" if found.kind is Kind.MAP else "")
        )
    if found.kind is Kind.AGE:
        tokens.fail(column, "order by created, which is the reverse of the age")
    if found in (each.field for each in keys):
        tokens.fail(column, "the field is named before; name it once")
    if len(keys) == MAX_ORDER_KEYS:
        tokens.fail(column, f"there are more than {MAX_ORDER_KEYS} fields")
    direction = tokens.take().text if tokens.next.text in ("asc", "desc") else "asc"
    return OrderKey(found, direction == "desc")


@frozen
class Range:
    """
    The values of a field that matches may have.  Not every record in the range matches.

    Attributes:
        low: the lowest value; ``None`` if there is no limit.
        high: the highest value; ``None`` if there is no limit.
        includes_low: whether ``low`` itself may match.
        includes_high: whether ``high`` itself may match.
        includes_absent: whether records without a value may match.
    """

    low: Any = None
    high: Any = None
    includes_low: bool = True
    includes_high: bool = True
    includes_absent: bool = True

    @property
    def is_empty(self) -> bool:
        """
        Return whether nothing can match.
        """
        if self.low is None or self.high is None:
            return False
        return bool(self.low > self.high or (self.low == self.high and not (self.includes_low and self.includes_high)))

    def narrowed(self, bound: Bound) -> "Range":
        """
        Return the values in this range that fulfil a condition.
        """
        low, high, includes_low, includes_high = self.low, self.high, self.includes_low, self.includes_high
        if bound.operator in ("=", ">", ">="):
            is_open = bound.operator == ">"
            if low is None or bound.value > low or (bound.value == low and is_open):
                low, includes_low = bound.value, not is_open
        if bound.operator in ("=", "<", "<="):
            is_open = bound.operator == "<"
            if high is None or bound.value < high or (bound.value == high and is_open):
                high, includes_high = bound.value, not is_open
        return Range(low, high, includes_low, includes_high, includes_absent=False)


@frozen
class Query:
    """
    A filter and an order.

    Attributes:
        filter: the filter.
        order: the order.
    """

    filter: Filter
    order: Order

    @classmethod
    def parse(cls, filter_text: str, order_text: str, fields: Fields, now_ns: int) -> "Query":
        """
        Parse a filter and an order.

        Args:
            filter_text: the filter; if it is empty, everything matches.
            order_text: the order; if it is empty, records are ordered by number or id.
            fields: ``VERSION_FIELDS`` or ``MODEL_FIELDS``.
            now_ns: the present time in nanoseconds since the Unix epoch, for ages.

        Raises:
            InvalidFilter: one of them cannot be understood.
        """
        return cls(compile_filter(filter_text, fields, now_ns), parse_order(order_text, fields))

    def range_of(self, found: Field) -> Range:
        """
        Return the values that a field of a match may have.
        """
        values = Range()
        for bound in self.filter.bounds:
            if bound.field == found:
                values = values.narrowed(bound)
        return values

    @property
    def seek_range(self) -> Range:
        """
        The values that the first field of the order may have, so that an index can begin and end there.
        """
        return self.range_of(self.order.keys[0].field)

    def select(self, records: Iterable[Any]) -> list[Any]:
        """
        Return the records that match, in order.
        """
        return self.order.sort(filter(self.filter.matches, records))
