"""
Tests of the immutable sorted tree.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from hypothesis import given, settings, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.domain import sorted_tree
from twisted_registry.domain.sorted_tree import SortedTree

MANY = 100_000
KEYS = 10_000
VALUES = st.sampled_from([None, 0, 7])
RUNS = st.tuples(
    st.sampled_from(["insert", "remove", "replace"]),
    st.integers(0, KEYS),  # where the run begins
    st.integers(1, 1500),  # its length
    st.integers(1, 3),  # its step
    st.booleans(),  # whether it goes down
    VALUES,
)
Run = tuple[str, int, int, int, bool, int | None]
Tree = SortedTree[int, int]


def nodes(node: Any) -> Iterator[Any]:
    """
    Iterate over a node and all nodes below it.
    """
    yield node
    for child in getattr(node, "children", ()):
        yield from nodes(child)


def changed(tree: Tree, reference: dict[int, int | None], run: Run) -> Tree:
    """
    Change many keys of a tree and of a dict.
    """
    kind, start, length, step, is_down, value = run
    keys = range(start, start + length * step, step)
    for key in reversed(keys) if is_down else keys:
        if kind == "insert" and key not in reference:
            tree = tree.insert(key, value)
            reference[key] = value
        elif kind == "remove" and key in reference:
            tree = tree.remove(key)
            del reference[key]
        elif kind == "replace" and key in reference:
            tree = tree.replace(key, value)
            reference[key] = value
    return tree


class SortedTreeTests(SynchronousTestCase):
    """
    A tree behaves like a sorted list of keys and a dict of their values.
    """

    def check_reads(self, tree: Tree, reference: Mapping[int, int | None], start: int) -> None:
        """
        Check everything that a tree can be asked.
        """
        keys = sorted(reference)
        above, below = [key for key in keys if key >= start], [key for key in reversed(keys) if key <= start]
        self.assertEqual((len(tree), list(tree), tree.last), (len(keys), keys, keys[-1] if keys else None))
        self.assertEqual(list(tree.descending()), keys[::-1])
        self.assertEqual((list(tree.ascending(start)), list(tree.descending(start))), (above, below))
        self.assertEqual(list(tree.ascending_items(start)), [(key, reference[key]) for key in above])
        self.assertEqual(list(tree.descending_items(start)), [(key, reference[key]) for key in below])
        self.assertEqual(tree.position(start), len(keys) - len(above))
        self.assertEqual((start in tree, tree.get(start)), (start in reference, reference.get(start)))
        for index in range(0, len(keys), 97):
            self.assertEqual((tree.at(index), tree.position(keys[index])), (keys[index], index))
            self.assertEqual((keys[index] in tree, tree.get(keys[index])), (True, reference[keys[index]]))

    def check_balance(self, tree: Tree) -> None:
        """
        Check that all leaves are at one depth, and that no node is too long, or too short unless it is the last one.
        """
        level: list[Any] = [tree._root]
        while True:
            for node in level:
                self.assertLessEqual(node.length, sorted_tree._MAX_LENGTH)
            for node in level[:-1]:
                self.assertGreaterEqual(node.length, sorted_tree._MIN_LENGTH)
            is_branch = {hasattr(node, "children") for node in level}
            self.assertEqual(len(is_branch), 1)
            if not is_branch.pop():
                return
            level = [child for node in level for child in node.children]

    @settings(deadline=None, max_examples=40)
    @given(
        st.sampled_from([0, 1, 64, 65, 1000, 4096, 4097, KEYS]),
        st.booleans(),
        st.lists(RUNS, max_size=8),
        st.integers(-1, KEYS + 1),
    )
    def test_behaves_like_a_sorted_list(self, count: int, has_values: bool, runs: list[Run], start: int) -> None:
        """
        Whatever keys are inserted, removed and given other values, all answers are those of a list, and the tree stays
        balanced.
        """
        reference: dict[int, int | None] = {key: key % 5 if has_values else None for key in range(count)}
        tree: Tree = SortedTree.from_sorted(range(count), list(reference.values()) if has_values else ())
        for run in runs:
            tree = changed(tree, reference, run)
            self.check_balance(tree)
        self.check_reads(tree, reference, start)

    @settings(deadline=None, max_examples=20)
    @given(st.integers(0, 5000), RUNS, RUNS)
    def test_old_trees_stay(self, count: int, first: Run, second: Run) -> None:
        """
        A tree is the same after others were made from it, and an iterator goes on over the tree that it came from.
        """
        keys = list(range(count))
        tree: Tree = SortedTree.from_sorted(keys)
        iterator, backwards = tree.ascending(), tree.descending()
        begun = list(islice(iterator, 100)), list(islice(backwards, 100))
        reference: dict[int, int | None] = dict.fromkeys(keys)
        after_first = changed(tree, reference, first)
        copy = dict(reference)
        changed(after_first, reference, second)
        self.assertEqual(dict(after_first.ascending_items()), copy)
        self.assertEqual(dict(tree.ascending_items()), dict.fromkeys(keys))
        self.assertEqual([*begun[0], *iterator], keys)
        self.assertEqual([*begun[1], *backwards], keys[::-1])

    def test_changes_share_nodes(self) -> None:
        """
        A change among a hundred thousand keys makes a few new nodes, wherever it is.
        """
        tree: Tree = SortedTree.from_sorted(list(range(0, 2 * MANY, 2)))
        known = set(map(id, nodes(tree._root)))
        changes = {
            "append": tree.insert(2 * MANY),
            "insert": tree.insert(MANY + 1),
            "remove the first": tree.remove(0),
            "remove the last": tree.remove(2 * MANY - 2),
            "replace": tree.replace(MANY, 1),
        }
        for change, after in changes.items():
            added = [node for node in nodes(after._root) if id(node) not in known]
            self.assertLessEqual(len(added), 5, change)

    def test_growth_at_the_end_fills_nodes(self) -> None:
        """
        A tree that grew one key at a time has as many nodes as one that was made from the whole list.
        """
        tree: Tree = SortedTree()
        for key in range(KEYS):
            tree = tree.insert(key)
        at_once: Tree = SortedTree.from_sorted(range(KEYS))
        self.assertEqual(len(list(nodes(tree._root))), len(list(nodes(at_once._root))))

    def test_emptied_tree_grows_again(self) -> None:
        """
        A tree whose keys were all removed, from either end, is like a new one.
        """
        for keys in (range(5000), range(4999, -1, -1)):
            tree: Tree = SortedTree.from_sorted(range(5000))
            for key in keys:
                tree = tree.remove(key)
            self.assertEqual((len(tree), list(tree), tree.last), (0, [], None))
            self.assertEqual(list(tree.insert(3).insert(1)), [1, 3])

    def test_other_keys(self) -> None:
        """
        Keys may be tuples; a start need not be a key.
        """
        keys = [(score / 10, number) for score in range(20) for number in range(20)]
        tree: SortedTree[tuple[float, int], str] = SortedTree()
        for key in reversed(keys):
            tree = tree.insert(key, str(key[1]))
        self.assertEqual(list(tree.ascending((1.0, 15))), [key for key in keys if key >= (1.0, 15)])
        self.assertEqual(next(tree.descending_items((1.05, 0))), ((1.0, 19), "19"))

    def test_refusals(self) -> None:
        """
        A key is not inserted twice, and only keys that are there are removed or get another value.
        """
        for keys in (range(3), range(MANY)):
            tree: Tree = SortedTree.from_sorted(keys)
            self.assertRaises(ValueError, tree.insert, 1)
            self.assertRaises(KeyError, tree.remove, MANY)
            self.assertRaises(KeyError, tree.replace, MANY, 1)
            for index in (-1, len(keys)):
                self.assertRaises(IndexError, tree.at, index)
