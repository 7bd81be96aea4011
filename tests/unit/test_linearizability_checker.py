"""
Tests that the checker of histories refuses what is not linearizable, and nothing else.
"""

from collections.abc import Sequence
from itertools import combinations, permutations

from attrs import evolve
from hypothesis import given, settings, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.robustness.oracles.acts import (
    ABSENT,
    Act,
    CreateVersion,
    DeleteModel,
    Latest,
    ListVersions,
    Outcome,
    ReadData,
    Reply,
    Restart,
    SaveModel,
    Version,
)
from tests.robustness.oracles.linearizability import FOREVER, Operation, find_fault, settled, step

A, B, C = Version(1, "a"), Version(2, "b"), Version(3, "c")
ARCHIVED_A, ARCHIVED_B = Version(1, "a", archived=True), Version(2, "b", archived=True)
NOT_FOUND, UNKNOWN = Outcome.NOT_FOUND, Outcome.UNKNOWN


def create(version: Version) -> Operation:
    """
    A creation that was acknowledged.
    """
    return Operation(CreateVersion(version._replace(number=0)), 0, reply=version)


def lost_create(data: str, *, archived: bool = False) -> Operation:
    """
    A creation that broke.
    """
    return Operation(CreateVersion(Version(0, data, archived=archived)), 0, reply=UNKNOWN)


def read(number: int, reply: Reply) -> Operation:
    """
    A read of a version's data.
    """
    return Operation(ReadData(number), 0, reply=reply)


def latest(reply: Reply) -> Operation:
    """
    A question for the latest version.
    """
    return Operation(Latest(), 0, reply=reply)


def listed(*versions: Version) -> Operation:
    """
    A list of versions.
    """
    return Operation(ListVersions(), 0, reply=versions)


def at(operation: Operation, invoked_ns: int, answered_ns: int) -> Operation:
    """
    An operation at its time.
    """
    return evolve(operation, invoked_ns=invoked_ns, answered_ns=answered_ns)


SAVE = Operation(SaveModel(), 0)
DELETE = Operation(DeleteModel(), 0)
RESTART = Operation(Restart(is_clean=True), 0)
CRASH = Operation(Restart(), 0)
NO_LIST = Operation(ListVersions(), 0, reply=NOT_FOUND)


def in_turn(*operations: Operation) -> list[Operation]:
    """
    Operations one after the other; what broke may happen from its turn on.
    """
    return [
        at(one, 10 * turn, 10 * turn + 5 if one.is_certain else FOREVER) for turn, one in enumerate(operations, start=1)
    ]


class SequentialHistoryTests(SynchronousTestCase):
    """
    Histories of one caller.
    """

    def accept(self, *operations: Operation) -> None:
        """
        Check that operations in turn are right.
        """
        self.assertIsNone(find_fault(in_turn(*operations)))

    def refuse(self, *operations: Operation) -> None:
        """
        Check that operations in turn are wrong.
        """
        self.assertIsNotNone(find_fault(in_turn(*operations)))

    def test_nothing(self) -> None:
        """
        An empty history is linearizable.
        """
        self.accept()

    def test_what_was_made_is_found(self) -> None:
        """
        Versions are listed, are the latest and can be read from their creation on.
        """
        self.accept(SAVE, create(A), latest(A), create(B), latest(B), listed(A, B), read(1, "a"), read(3, NOT_FOUND))

    def test_stale_latest(self) -> None:
        """
        The latest is not one that was superseded before the question.
        """
        self.refuse(SAVE, create(A), create(B), latest(A))
        self.refuse(SAVE, create(A), latest(NOT_FOUND))

    def test_latest_that_is_yet_to_come(self) -> None:
        """
        The latest is not one that is created only after the answer.
        """
        self.refuse(SAVE, create(A), latest(B), create(B))

    def test_number_twice(self) -> None:
        """
        A number is not given twice, nor is one left out.
        """
        self.refuse(SAVE, create(A), create(Version(1, "b")))
        self.refuse(SAVE, create(A), create(C))
        self.refuse(SAVE, create(B))

    def test_numbers_begin_again_with_the_model(self) -> None:
        """
        A model that is created again assigns its own numbers, from 1 on.
        """
        self.accept(SAVE, create(A), DELETE, SAVE, create(Version(1, "b")), read(1, "b"))
        self.refuse(SAVE, create(A), DELETE, SAVE, create(B))
        self.refuse(SAVE, create(A), DELETE, SAVE, read(1, "a"))

    def test_deleted_model(self) -> None:
        """
        Nothing of a deleted model is found, until it is made again.
        """
        self.accept(SAVE, create(A), DELETE, NO_LIST, latest(NOT_FOUND), read(1, NOT_FOUND))
        self.refuse(SAVE, create(A), DELETE, read(1, "a"))
        self.refuse(SAVE, create(A), DELETE, listed())
        self.refuse(SAVE, NO_LIST)
        self.refuse(SAVE, DELETE, DELETE)
        self.refuse(DELETE)
        self.refuse(create(A))
        self.accept(Operation(DeleteModel(), 0, reply=NOT_FOUND), Operation(CreateVersion(A), 0, reply=NOT_FOUND))
        self.refuse(SAVE, Operation(DeleteModel(), 0, reply=NOT_FOUND))
        self.refuse(SAVE, Operation(CreateVersion(A), 0, reply=NOT_FOUND))

    def test_lost_version(self) -> None:
        """
        A version does not vanish.
        """
        self.refuse(SAVE, create(A), create(B), listed(B))
        self.refuse(SAVE, create(A), read(1, NOT_FOUND))

    def test_wrong_data(self) -> None:
        """
        The data of a read is the data of the creation.
        """
        self.refuse(SAVE, create(A), create(B), read(1, "b"))
        self.refuse(SAVE, create(A), listed(ARCHIVED_A))
        self.refuse(SAVE, create(A), listed(Version(1, "b")))

    def test_restart(self) -> None:
        """
        A clean restart loses transient versions, those alone, and no number.
        """
        self.accept(SAVE, create(ARCHIVED_A), create(B), RESTART, listed(ARCHIVED_A), create(C), listed(ARCHIVED_A, C))
        self.refuse(SAVE, create(A), RESTART, listed(A))
        self.refuse(SAVE, create(ARCHIVED_A), RESTART, listed())
        self.refuse(SAVE, create(A), RESTART, create(Version(1, "b")))
        self.refuse(SAVE, create(A), RESTART, create(C))

    def test_crash(self) -> None:
        """
        After a crash numbers may leave one gap; none is used again.
        """
        self.accept(SAVE, create(A), CRASH, create(Version(101, "b")), create(Version(102, "c")))
        self.accept(SAVE, create(A), CRASH, RESTART, create(B))
        self.refuse(SAVE, create(A), CRASH, create(Version(1, "b")))
        self.refuse(SAVE, create(A), CRASH, create(Version(101, "b")), create(Version(103, "c")))
        self.refuse(SAVE, create(ARCHIVED_A), CRASH, listed())

    def test_broken_creation(self) -> None:
        """
        A creation that broke happened once, at any later moment, or not at all.
        """
        broken = lost_create("b", archived=True)
        self.accept(SAVE, create(A), broken, listed(A))
        self.accept(SAVE, create(A), broken, listed(A, ARCHIVED_B))
        self.accept(SAVE, create(A), broken, listed(A), listed(A, ARCHIVED_B))
        self.accept(SAVE, create(A), broken, create(C))
        self.accept(SAVE, create(A), broken, create(Version(2, "c")))
        self.refuse(SAVE, create(A), broken, listed(A, ARCHIVED_B), listed(A))
        self.refuse(SAVE, create(A), broken, listed(A, ARCHIVED_B), create(Version(2, "c")))
        self.refuse(SAVE, create(A), listed(A, ARCHIVED_B), broken)

    def test_broken_deletion(self) -> None:
        """
        So did a deletion that broke.
        """
        broken = Operation(DeleteModel(), 0, reply=UNKNOWN)
        self.accept(SAVE, create(A), broken, listed(A), NO_LIST)
        self.accept(SAVE, create(A), broken, listed(A))
        self.refuse(SAVE, create(A), broken, NO_LIST, listed(A))
        self.refuse(SAVE, create(A), broken, listed())

    def test_what_broke_does_not_outlive_its_time(self) -> None:
        """
        A broken operation that can have happened only before a moment does not happen after it.
        """
        history = [*in_turn(SAVE, create(A)), at(lost_create("b"), 30, 35), *in_turn(*[listed(A)] * 5)[3:]]
        self.assertIsNone(find_fault(history))
        history += [at(listed(A, B), 60, 65)]
        self.assertIsNotNone(find_fault(history))

    def test_fault_is_named(self) -> None:
        """
        The description of a fault names the operation that does not fit.
        """
        fault = find_fault(in_turn(SAVE, create(A), latest(NOT_FOUND)))
        self.assertIn("after 2 of 3", str(fault))
        self.assertIn("Latest", str(fault))

    def test_unfinished_search_is_reported(self) -> None:
        """
        A history that takes too long to decide is not taken for a right one, nor said to be wrong.
        """
        history = in_turn(SAVE, create(A), lost_create("b"), listed(A, B))
        self.assertIn("not decided", str(find_fault(history, most_places=2)))
        self.assertIsNone(find_fault(history))


class ConcurrentHistoryTests(SynchronousTestCase):
    """
    Histories of several callers.
    """

    def test_numbers_follow_no_calls_but_replies(self) -> None:
        """
        Of two creations at once either may be the first; of two in turn only the first.
        """
        at_once = [at(SAVE, 1, 2), at(create(B), 3, 9), at(create(A), 4, 8)]
        self.assertIsNone(find_fault(at_once))
        in_order = [at(SAVE, 1, 2), at(create(B), 3, 4), at(create(A), 5, 6)]
        self.assertIsNotNone(find_fault(in_order))

    def test_latest_that_goes_back(self) -> None:
        """
        While a creation is under way the latest may be the new one or the old one, but not the old one again.
        """
        before = [at(SAVE, 1, 2), at(create(A), 3, 4), at(create(B), 5, 50)]
        self.assertIsNone(find_fault([*before, at(latest(A), 10, 11), at(latest(B), 12, 13)]))
        self.assertIsNotNone(find_fault([*before, at(latest(B), 10, 11), at(latest(A), 12, 13)]))
        self.assertIsNone(find_fault([*before, at(latest(B), 10, 13), at(latest(A), 11, 12)]))

    def test_creation_into_a_model_that_is_deleted(self) -> None:
        """
        A creation may come before a deletion that began before it; it is gone then.
        """
        before = [at(SAVE, 1, 2), at(DELETE, 3, 20), at(create(A), 4, 19)]
        self.assertIsNone(find_fault([*before, at(NO_LIST, 30, 31)]))
        self.assertIsNotNone(find_fault([*before, at(listed(A), 30, 31)]))


def brute_force(history: Sequence[Operation]) -> bool:
    """
    Return whether a history is linearizable, by trying every order of every choice of broken operations.
    """
    operations = settled(history)
    certain = [one for one in operations if one.is_certain]
    broken = [one for one in operations if not one.is_certain]
    choices = (choice for size in range(len(broken) + 1) for choice in combinations(broken, size))
    return any(_is_right(order) for choice in choices for order in permutations([*certain, *choice]))


def _is_right(order: Sequence[Operation]) -> bool:
    state = ABSENT
    for position, operation in enumerate(order):
        if any(later.answered_ns < operation.invoked_ns for later in order[position:]):
            return False
        following = step(state, operation)
        if following is None:
            return False
        state = following
    return True


VERSIONS = [A, B, C, Version(1, "b"), Version(2, "a"), ARCHIVED_A, ARCHIVED_B]
LISTS = [(), (A,), (ARCHIVED_A,), (A, B), (ARCHIVED_A, ARCHIVED_B), (B,), (Version(1, "b"),)]


NO_VALUES: list[Reply] = [NOT_FOUND, UNKNOWN]


def replies(draw: st.DrawFn, act: Act) -> Reply:
    """
    Make up a reply; most of them are wrong.
    """
    if isinstance(act, CreateVersion):
        created = [act.version._replace(number=number) for number in (1, 2, 3)]
        return draw(st.sampled_from([*created, *NO_VALUES]))
    possible: dict[type[Act], list[Reply]] = {
        SaveModel: [None, UNKNOWN],
        DeleteModel: [None, NOT_FOUND, UNKNOWN],
        Latest: [*VERSIONS, NOT_FOUND, UNKNOWN],
        ListVersions: [*LISTS, NOT_FOUND],
        ReadData: ["a", "b", NOT_FOUND],
        Restart: [None],
    }
    return draw(st.sampled_from(possible[type(act)]))


@st.composite
def operations(draw: st.DrawFn, data: str) -> Operation:
    """
    Make up an operation; most of them come to nothing.
    """
    create_it = CreateVersion(Version(0, data, archived=draw(st.booleans())))
    reads = [Latest(), ListVersions(), ReadData(draw(st.integers(1, 2)))]
    others = [SaveModel(), SaveModel(), DeleteModel(), Restart(), Restart(is_clean=True)]
    act: Act = draw(st.sampled_from([*[create_it] * 4, *others, *reads]))
    reply = replies(draw, act)
    invoked = draw(st.integers(1, 12))
    answered = invoked + draw(st.integers(0, 6))
    if reply is UNKNOWN and draw(st.booleans()):
        answered = FOREVER
    return Operation(act, invoked, answered, reply)


@st.composite
def histories(draw: st.DrawFn) -> list[Operation]:
    """
    Make up a history of a model that is made at its beginning.
    """
    return [at(SAVE, 0, 1), *(draw(operations(data)) for data in "abcde"[: draw(st.integers(0, 5))])]


class BruteForceTests(SynchronousTestCase):
    """
    The search against trying every order.
    """

    @settings(max_examples=600, deadline=None, database=None)
    @given(histories())
    def test_tiny_histories(self, history: list[Operation]) -> None:
        """
        The search finds an order exactly where there is one.
        """
        self.assertEqual(find_fault(history) is None, brute_force(history))
