"""
Filters: which versions or models a list contains.
"""

from collections.abc import Callable, Sequence
from itertools import chain
from math import isnan
from operator import ge, gt, le, lt
from typing import Any

from attrs import define, evolve, field, frozen

from twisted_registry.domain.errors import InvalidFilter
from twisted_registry.domain.fields import CREATED, Field, Fields, Get, Kind
from twisted_registry.domain.filter_syntax import And, Comparison, Node, Not, Or, Value, parse_filter

MAX_INFIXES = 50
"""The most values with a ``*`` at both ends: each of them is looked for in all of a text, which may be long."""

_INFIX_COST = 10
_WINDOW_CHARACTERS = 16 * 1024

Matches = Callable[[Any], bool]
"""A function that returns whether a record matches."""

_ORDERED = {"<": lt, "<=": le, ">": gt, ">=": ge}
_ALL_OPERATORS = ("=", "!=", *_ORDERED, ":")
_FEW_OPERATORS = {Kind.NAMES: (":",), Kind.MAP: (":",), Kind.FLAG: ("=", "!="), Kind.SHA256: ("=", "!=")}
_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "!=": "!="}


@frozen
class Bound:
    """
    A condition that every match fulfils.

    Attributes:
        field: the field, which a match has.
        operator: ``=``, ``<``, ``<=``, ``>`` or ``>=``; empty if the value does not matter.
        value: what the field is compared with.
    """

    field: Field
    operator: str = ""
    value: Any = None


@frozen
class Filter:
    """
    A filter.

    Attributes:
        matches: returns whether a record matches.
        bounds: conditions that every match fulfils; there may be others.
        cost: how long a record takes, in usual comparisons; 0 if everything matches.
        names: the fields that the filter names, without keys.
    """

    matches: Matches = field(eq=False, repr=False)
    bounds: tuple[Bound, ...] = ()
    cost: int = 1
    names: frozenset[str] = frozenset()


def compile_filter(text: str, fields: Fields, now_ns: int) -> Filter:
    """
    Compile a filter.

    Args:
        text: the filter; if it is empty, everything matches.
        fields: the fields that it can name.
        now_ns: the present time in nanoseconds since the Unix epoch, for ages.

    Raises:
        InvalidFilter: it cannot be understood.
    """
    node = parse_filter(text)
    if node is None:
        return Filter(lambda record: True, cost=0)
    return _Compiler(fields, now_ns).compile(node)


def _joined(matches: Matches, parts: Sequence[Filter], bounds: tuple[Bound, ...] = ()) -> Filter:
    return Filter(
        matches, bounds, sum(part.cost for part in parts), frozenset(chain.from_iterable(part.names for part in parts))
    )


@define
class _Compiler:
    _fields: Fields
    _now_ns: int
    _infixes: int = 0

    def compile(self, node: Node) -> Filter:
        match node:
            case And(parts):
                filters = [self.compile(part) for part in parts]
                bounds = tuple(chain.from_iterable(each.bounds for each in filters))
                return _joined(_all_of([each.matches for each in filters]), filters, bounds)
            case Or(parts):
                filters = [self.compile(part) for part in parts]
                return _joined(_any_of([each.matches for each in filters]), filters)
            case Not(part):
                negated = self.compile(part)
                return _joined(_not(negated.matches), [negated])
            case Comparison():
                found = self._comparison(node)
                self._count_infixes(node, found)
                return evolve(found, names=frozenset(node.path.segments[:1]))

    def _count_infixes(self, node: Comparison, found: Filter) -> None:
        self._infixes += found.cost == _INFIX_COST
        if self._infixes > MAX_INFIXES and node.value is not None:
            reason = f"there are more than {MAX_INFIXES} values with a * at both ends"
            raise InvalidFilter("filter", node.value.column, reason)

    def _comparison(self, node: Comparison) -> Filter:
        try:
            found = self._fields.find(node.path.segments)
        except ValueError as error:
            raise InvalidFilter("filter", node.path.columns[0], str(error)) from None
        if node.value is None:
            if found.kind is not Kind.FLAG:
                raise InvalidFilter("filter", node.operator_column, f"expected {_expected(found)}")
            return Filter(found.get, (Bound(found, "=", True),))
        if node.operator not in _operators(found):
            reason = f"expected {_expected(found)}, found {node.operator!r}"
            raise InvalidFilter("filter", node.operator_column, reason)
        try:
            return self._compared(found, node.operator, node.value)
        except ValueError as error:
            raise InvalidFilter("filter", node.value.column, str(error)) from None

    def _compared(self, found: Field, operator: str, value: Value) -> Filter:
        if operator == ":" and value.text == "*" and value.stars:
            return Filter(_is_present(found), (Bound(found),))
        if operator == ":" and found.kind in (Kind.NAMES, Kind.MAP):
            return Filter(_contains(found.get, _plain(value)))
        operator = "=" if operator == ":" else operator
        if found.kind in (Kind.TEXT, Kind.SHA256):
            return _text_filter(found, operator, value)
        literal = found.literal(value)
        if found.kind is Kind.AGE:
            found, operator, literal = CREATED, _FLIPPED[operator], self._now_ns - literal
        return _ordered_filter(found, operator, literal)


def _operators(found: Field) -> tuple[str, ...]:
    return _FEW_OPERATORS.get(found.kind, _ALL_OPERATORS)


def _expected(found: Field) -> str:
    hint = f", or a key as in {found.path[0]}.KEY" if found.kind is Kind.MAP else ""
    return f"{' '.join(_operators(found))} after {found.path[0]}{hint}"


def _plain(value: Value) -> str:
    if value.stars:
        raise ValueError("a name here is compared as a whole; leave the * out, or write * alone for any name")
    return value.text


def _text_filter(found: Field, operator: str, value: Value) -> Filter:
    if operator in _ORDERED:
        if not value.is_quoted and value.text[:1] in "-.0123456789":
            raise ValueError("text is compared here, letter by letter; quote the value, or keep numbers in metrics")
        return _ordered_filter(found, operator, found.literal(value))
    text, has_prefix, has_suffix = found.literal(value), False, False
    if value.stars:
        if not {0, len(text) - 1}.issuperset(value.stars):
            raise ValueError('a * is a wildcard at the beginning or the end; write "\\*" for the character')
        has_prefix, has_suffix = 0 in value.stars, len(text) - 1 in value.stars and len(text) > 1
        text = text[int(has_prefix) : len(text) - int(has_suffix)]
    if not (has_prefix or has_suffix):
        return _ordered_filter(found, operator, text)
    matches = _wildcard(found.get, text, has_prefix, has_suffix)
    cost = _INFIX_COST if has_prefix and has_suffix else 1
    if operator == "!=":
        is_present = _is_present(found)
        return Filter(lambda record: is_present(record) and not matches(record), (Bound(found),), cost)
    return Filter(matches, (Bound(found, "" if has_prefix else ">=", text),), cost)


def _wildcard(get: Get, text: str, has_prefix: bool, has_suffix: bool) -> Matches:
    def matches(record: Any) -> bool:
        found = get(record)
        if found is None:
            return False
        if has_prefix and has_suffix:
            return _is_in(text, found)
        return bool(found.endswith(text) if has_prefix else found.startswith(text))

    return matches


def _is_in(text: str, found: str) -> bool:
    # The interpreter's lock is held while a piece is searched: 6 ms for all 256 KiB, if they are chosen for it.
    if len(found) <= _WINDOW_CHARACTERS:
        return text in found
    overlap = len(text) + _WINDOW_CHARACTERS
    return any(found.find(text, start, start + overlap) >= 0 for start in range(0, len(found), _WINDOW_CHARACTERS))


def _ordered_filter(found: Field, operator: str, literal: Any) -> Filter:
    get = found.get
    if operator == "=":
        return Filter(lambda record: bool(get(record) == literal), (Bound(found, "=", literal),))
    if operator == "!=":
        # Not '!=': an absent value and NaN differ from everything.
        return Filter(
            lambda record: (value := get(record)) is not None and bool(value < literal or value > literal),
            (Bound(found),),
        )
    compare = _ORDERED[operator]
    return Filter(
        lambda record: (value := get(record)) is not None and compare(value, literal),
        (Bound(found, operator, literal),),
    )


def _is_present(found: Field) -> Matches:
    get = found.get
    if found.kind in (Kind.NAMES, Kind.MAP):
        return lambda record: bool(get(record))
    if found.kind is Kind.NUMBER:
        return lambda record: (value := get(record)) is not None and not isnan(value)
    return lambda record: get(record) is not None


def _contains(get: Get, name: str) -> Matches:
    return lambda record: name in get(record)


def _not(matches: Matches) -> Matches:
    return lambda record: not matches(record)


def _all_of(parts: list[Matches]) -> Matches:
    if len(parts) == 2:  # the usual case, without a loop
        first, second = parts
        return lambda record: first(record) and second(record)

    def matches(record: Any) -> bool:
        for part in parts:  # noqa: SIM110  # all() takes twice as long
            if not part(record):
                return False
        return True

    return matches


def _any_of(parts: list[Matches]) -> Matches:
    def matches(record: Any) -> bool:
        for part in parts:  # noqa: SIM110  # any() takes twice as long
            if part(record):
                return True
        return False

    return matches
