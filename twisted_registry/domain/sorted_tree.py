"""
An immutable sorted tree: each change returns a new tree, which shares all equal parts with the old one.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from attrs import define


class Comparable(Protocol):
    """
    A value that can be compared with others of its kind.
    """

    def __lt__(self, other: Any, /) -> bool:
        """
        Return whether this value is less than the other.
        """


K = TypeVar("K", bound=Comparable)
V = TypeVar("V")
T = TypeVar("T")

_MAX_LENGTH = 64
"""The most keys of a leaf, and the most children of a branch.  Changes are slower with 32 and with 128."""

_MIN_LENGTH = _MAX_LENGTH // 4
"""Shorter nodes are joined with the next one; the last node of each level may be shorter."""


@define(eq=False)
class _Leaf(Generic[K, V]):
    """
    Some keys and their values.  Never changed.

    Attributes:
        keys: the keys, ascending: a tuple, or a range that the tree was made from.
        values: their values; empty if none of them has one.
    """

    keys: Sequence[K]
    values: tuple[V | None, ...]

    @property
    def length(self) -> int:
        """
        The number of keys.
        """
        return len(self.keys)

    count = length

    @property
    def lowest(self) -> K:
        """
        The lowest key.
        """
        return self.keys[0]

    @property
    def all_values(self) -> tuple[V | None, ...]:
        """
        The values of all keys.
        """
        return self.values or (None,) * len(self.keys)

    def find(self, key: K) -> int:
        """
        Return the index of a key.

        Raises:
            KeyError: the key is not there.
        """
        index = bisect_left(self.keys, key)
        if index == len(self.keys) or self.keys[index] != key:
            raise KeyError(key)
        return index

    def insert(self, key: K, value: V | None, *, is_last: bool) -> "tuple[_Leaf[K, V], ...]":
        """
        Return one or two leaves that also have a new key.

        Args:
            is_last: whether this is the tree's last leaf.

        Raises:
            ValueError: the key is already there.
        """
        keys = self.keys
        index = bisect_left(keys, key)
        if index < len(keys) and keys[index] == key:
            raise ValueError(f"the key {key!r} is in the tree already")
        values = self.values
        if values or value is not None:
            values = _inserted(self.all_values, index, value)
        leaf = _Leaf(_inserted(keys, index, key), values)
        if len(keys) < _MAX_LENGTH:
            return (leaf,)
        return leaf.split(_split_index(len(keys), is_appended=is_last and index == len(keys)))

    def replace(self, key: K, value: V | None) -> "_Leaf[K, V]":
        """
        Return the leaf with another value for a key.

        Raises:
            KeyError: the key is not there.
        """
        return _Leaf(self.keys, _replaced(self.all_values, self.find(key), value))

    def remove(self, key: K) -> "_Leaf[K, V]":
        """
        Return the leaf without a key.

        Raises:
            KeyError: the key is not there.
        """
        index = self.find(key)
        return _Leaf(_removed(self.keys, index), _removed(self.values, index) if self.values else ())

    def split(self, index: int) -> "tuple[_Leaf[K, V], _Leaf[K, V]]":
        """
        Return two leaves: the keys before an index, and the others.
        """
        keys, values = self.keys, self.values
        return _Leaf(keys[:index], values[:index]), _Leaf(keys[index:], values[index:])

    def join(self, right: "_Leaf[K, V]") -> "_Leaf[K, V]":
        """
        Return one leaf, which may be too long, with the keys of this one and of the next one.
        """
        values = (*self.all_values, *right.all_values) if self.values or right.values else ()
        return _Leaf((*self.keys, *right.keys), values)


@define(eq=False)
class _Branch(Generic[K, V]):
    """
    A node above some others.  Never changed.

    Attributes:
        children: the nodes below: either leaves or branches.
        bounds: for each child but the first a key: no key in this child is lower, and all keys before it are.
        counts: for each child the number of keys in it.
        count: the number of all keys.
    """

    children: "tuple[_Node[K, V], ...]"
    bounds: tuple[K, ...]
    counts: tuple[int, ...]
    count: int

    @classmethod
    def over(
        cls, children: "Sequence[_Node[K, V]]", bounds: Sequence[K], counts: tuple[int, ...] | None = None
    ) -> "_Branch[K, V]":
        """
        Return a branch with these children.
        """
        if counts is None:
            counts = tuple([child.count for child in children])
        return cls(tuple(children), tuple(bounds), counts, sum(counts))

    @property
    def length(self) -> int:
        """
        The number of children.
        """
        return len(self.children)

    @property
    def lowest(self) -> K:
        """
        The lowest key.
        """
        return self.children[0].lowest

    def insert(self, key: K, value: V | None, *, is_last: bool) -> "tuple[_Branch[K, V], ...]":
        """
        Return one or two branches that also have a new key; see ``_Leaf.insert``.
        """
        index = bisect_right(self.bounds, key)
        is_last = is_last and index == len(self.bounds)
        pieces = self.children[index].insert(key, value, is_last=is_last)
        if len(pieces) == 1:
            return (self._with_child(index, pieces[0], 1),)
        branch = self._splice(index, index + 1, pieces)
        if len(branch.children) <= _MAX_LENGTH:
            return (branch,)
        return branch.split(_split_index(len(self.children), is_appended=is_last))

    def replace(self, key: K, value: V | None) -> "_Branch[K, V]":
        """
        Return the branch with another value for a key; see ``_Leaf.replace``.
        """
        index = bisect_right(self.bounds, key)
        return self._with_child(index, self.children[index].replace(key, value), 0)

    def remove(self, key: K) -> "_Branch[K, V]":
        """
        Return the branch without a key; see ``_Leaf.remove``.
        """
        index = bisect_right(self.bounds, key)
        child = self.children[index].remove(key)
        if child.length >= _MIN_LENGTH or (len(self.children) == 1 and child.length):
            return self._with_child(index, child, -1)
        if len(self.children) == 1:
            return _Branch((), (), (), 0)
        left = max(index - 1, 0)
        pair = (self.children[left], child) if index else (child, self.children[1])
        return self._splice(left, left + 2, _joined(*pair))

    def split(self, index: int) -> "tuple[_Branch[K, V], _Branch[K, V]]":
        """
        Return two branches: the children before an index, and the others.
        """
        children, bounds, counts = self.children, self.bounds, self.counts
        return (
            _Branch.over(children[:index], bounds[: index - 1], counts[:index]),
            _Branch.over(children[index:], bounds[index:], counts[index:]),
        )

    def join(self, right: "_Branch[K, V]") -> "_Branch[K, V]":
        """
        Return one branch, which may be too long, with the children of this one and of the next one.
        """
        children, bounds = (*self.children, *right.children), (*self.bounds, right.lowest, *right.bounds)
        return _Branch.over(children, bounds, self.counts + right.counts)

    def _with_child(self, index: int, child: "_Node[K, V]", added: int) -> "_Branch[K, V]":
        counts = _replaced(self.counts, index, self.counts[index] + added) if added else self.counts
        return _Branch(_replaced(self.children, index, child), self.bounds, counts, self.count + added)

    def _splice(self, start: int, stop: int, pieces: "Sequence[_Node[K, V]]") -> "_Branch[K, V]":
        children, bounds, counts = self.children, self.bounds, self.counts
        return _Branch.over(
            (*children[:start], *pieces, *children[stop:]),
            (*bounds[:start], *[piece.lowest for piece in pieces[1:]], *bounds[stop - 1 :]),
            (*counts[:start], *[piece.count for piece in pieces], *counts[stop:]),
        )


_Node: TypeAlias = _Leaf[K, V] | _Branch[K, V]


# To change a copy, and to make a tuple of it, is faster than to join slices.


def _inserted(items: Sequence[T], index: int, item: T) -> tuple[T, ...]:
    changed = list(items)
    changed.insert(index, item)
    return tuple(changed)


def _replaced(items: Sequence[T], index: int, item: T) -> tuple[T, ...]:
    changed = list(items)
    changed[index] = item
    return tuple(changed)


def _removed(items: Sequence[T], index: int) -> tuple[T, ...]:
    changed = list(items)
    del changed[index]
    return tuple(changed)


def _split_index(length: int, *, is_appended: bool) -> int:
    # Appended keys leave full nodes behind, so that a tree that grows at its end has as few as possible.
    return length if is_appended else (length + 1) // 2


def _joined(left: _Node[K, V], right: _Node[K, V]) -> tuple[_Node[K, V], ...]:
    if not (left.length and right.length):
        return (left if left.length else right,)
    assert type(left) is type(right), "the nodes of a level are of one kind"
    node: _Node[K, V] = left.join(right)  # type: ignore[arg-type]
    return (node,) if node.length <= _MAX_LENGTH else node.split(node.length // 2)


class SortedTree(Generic[K, V]):
    """
    A sorted set of keys, each with an optional value, that is never changed: a B+ tree that counts its keys.

    Any thread may read a tree and iterate over it.  The methods that change something return a new tree; this takes
    O(log n), copies a few nodes and shares the others.  The keys of a tree can all be compared with each other.
    """

    __slots__ = ("_root",)

    def __init__(self, root: _Node[K, V] | None = None) -> None:
        self._root: _Node[K, V] = _Leaf((), ()) if root is None else root

    @classmethod
    def from_sorted(cls, keys: Sequence[K], values: Sequence[V | None] = ()) -> "SortedTree[K, V]":
        """
        Return a tree with keys, which takes O(n).

        Args:
            keys: the keys, ascending, none twice.  A range of numbers stays a range, which takes almost no memory.
            values: a value for each key, or nothing.
        """
        starts = range(0, len(keys), _MAX_LENGTH)
        level: list[_Node[K, V]] = [
            _Leaf(_frozen(keys[start : start + _MAX_LENGTH]), tuple(values[start : start + _MAX_LENGTH]))
            for start in starts
        ]
        lowest = [keys[start] for start in starts]
        while len(level) > 1:
            starts = range(0, len(level), _MAX_LENGTH)
            level = [
                _Branch.over(level[start : start + _MAX_LENGTH], lowest[start + 1 : start + _MAX_LENGTH])
                for start in starts
            ]
            lowest = lowest[::_MAX_LENGTH]
        return cls(*level)

    def __len__(self) -> int:
        return self._root.count

    def __iter__(self) -> Iterator[K]:
        return self.ascending()

    def __contains__(self, key: K) -> bool:
        keys = self._leaf(key).keys
        index = bisect_left(keys, key)
        return index < len(keys) and keys[index] == key

    def get(self, key: K) -> V | None:
        """
        Return a key's value; ``None`` if it has none, or if the key is not there.
        """
        leaf = self._leaf(key)
        index = bisect_left(leaf.keys, key)
        is_there = leaf.values and index < len(leaf.keys) and leaf.keys[index] == key
        return leaf.values[index] if is_there else None

    def at(self, index: int) -> K:
        """
        Return the key at a zero-based index.

        Raises:
            IndexError: there are fewer keys, or the index is negative.
        """
        node = self._root
        if not 0 <= index < node.count:
            raise IndexError(index)
        while isinstance(node, _Branch):
            ends = list(accumulate(node.counts))
            child = bisect_right(ends, index)
            if child:
                index -= ends[child - 1]
            node = node.children[child]
        return node.keys[index]

    @property
    def last(self) -> K | None:
        """
        The highest key; ``None`` if there is none.
        """
        node = self._root
        while isinstance(node, _Branch):
            node = node.children[-1]
        return node.keys[-1] if node.keys else None

    def position(self, key: K) -> int:
        """
        Return the zero-based index of the first key that is not below the given one.
        """
        node, before = self._root, 0
        while isinstance(node, _Branch):
            child = bisect_right(node.bounds, key)
            before += sum(node.counts[:child])
            node = node.children[child]
        return before + bisect_left(node.keys, key)

    def ascending(self, start: K | None = None) -> Iterator[K]:
        """
        Iterate over the keys in ascending order, from the first one that is not below ``start``.
        """
        return chain.from_iterable(leaf.keys[_first(leaf, start) :] for leaf in self._leaves(start))

    def descending(self, start: K | None = None) -> Iterator[K]:
        """
        Iterate over the keys in descending order, from the first one that is not above ``start``.
        """
        return chain.from_iterable(
            leaf.keys[: _stop(leaf, start)][::-1] for leaf in self._leaves(start, is_descending=True)
        )

    def ascending_items(self, start: K | None = None) -> Iterator[tuple[K, V | None]]:
        """
        Iterate over the keys and their values like ``ascending``.
        """
        for leaf in self._leaves(start):
            first = _first(leaf, start)
            yield from zip(leaf.keys[first:], leaf.all_values[first:], strict=True)

    def descending_items(self, start: K | None = None) -> Iterator[tuple[K, V | None]]:
        """
        Iterate over the keys and their values like ``descending``.
        """
        for leaf in self._leaves(start, is_descending=True):
            stop = _stop(leaf, start)
            yield from zip(leaf.keys[:stop][::-1], leaf.all_values[:stop][::-1], strict=True)

    def insert(self, key: K, value: V | None = None) -> "SortedTree[K, V]":
        """
        Return the tree with a new key.

        Raises:
            ValueError: the key is already there.
        """
        pieces: Sequence[_Node[K, V]] = self._root.insert(key, value, is_last=True)
        if len(pieces) == 1:
            return SortedTree(pieces[0])
        return SortedTree(_Branch.over(pieces, [pieces[1].lowest]))

    def replace(self, key: K, value: V | None) -> "SortedTree[K, V]":
        """
        Return the tree with another value for a key.

        Raises:
            KeyError: the key is not there.
        """
        return SortedTree(self._root.replace(key, value))

    def remove(self, key: K) -> "SortedTree[K, V]":
        """
        Return the tree without a key.

        Raises:
            KeyError: the key is not there.
        """
        node: _Node[K, V] = self._root.remove(key)
        while isinstance(node, _Branch) and len(node.children) == 1:
            node = node.children[0]
        return SortedTree(node if node.count else None)

    def _leaf(self, key: K) -> _Leaf[K, V]:
        node = self._root
        while isinstance(node, _Branch):
            node = node.children[bisect_right(node.bounds, key)]
        return node

    def _leaves(self, start: K | None, *, is_descending: bool = False) -> Iterator[_Leaf[K, V]]:
        waiting: list[Iterator[_Node[K, V]]] = [iter((self._root,))]
        while waiting:
            node = next(waiting[-1], None)
            if node is None:
                waiting.pop()
            elif isinstance(node, _Branch):
                waiting.append(_children(node, start, is_descending=is_descending))
            else:
                yield node
                start = None  # the leaves that follow are needed from their beginning


def _children(node: _Branch[K, V], start: K | None, *, is_descending: bool) -> Iterator[_Node[K, V]]:
    if is_descending:
        return reversed(node.children if start is None else node.children[: bisect_right(node.bounds, start) + 1])
    return iter(node.children if start is None else node.children[bisect_right(node.bounds, start) :])


def _frozen(keys: Sequence[K]) -> Sequence[K]:
    is_range = isinstance(keys, range)
    return keys if is_range else tuple(keys)


def _first(leaf: _Leaf[K, V], start: K | None) -> int:
    return 0 if start is None else bisect_left(leaf.keys, start)


def _stop(leaf: _Leaf[K, V], start: K | None) -> int:
    return len(leaf.keys) if start is None else bisect_right(leaf.keys, start)
