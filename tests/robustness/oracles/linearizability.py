"""
The check whether the results of concurrent calls can be explained by one order of the calls.

A history is linearizable if each operation can be assigned a moment between its call and its reply such that, executed
in that order on a sequential registry (``step``), each operation returns what its caller received. The search is that
of Wing and Gong, which remembers where it has been, as Lowe proposed. A history is of one model: if each model's is
linearizable, so is the whole.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from typing import NamedTuple

from attrs import evolve, frozen

FOREVER = 2**63
"""Later than any moment."""

MOST_PLACES = 500_000
"""The limit of the search: each broken call may double the number of places."""


class Act(Enum):
    """
    The kinds of operations. ``SAVE`` creates a missing model; ``RESTART`` is a clean restart of the whole registry.
    """

    SAVE = "save"
    DELETE = "delete"
    CREATE = "create"
    LATEST = "latest"
    LIST = "list"
    READ = "read"
    RESTART = "restart"
    CRASH = "crash"


_LOOKS = frozenset({Act.LATEST, Act.LIST, Act.READ})


class Outcome(Enum):
    """
    The possible results besides values.
    """

    NOT_FOUND = "not found"
    UNKNOWN = "unknown"
    """The call broke: it may have happened at any moment from its call on, or not at all."""


class Version(NamedTuple):
    """
    A version as its readers see it.

    Attributes:
        data: what tells its data from all others'.
    """

    number: int
    data: str


Result = Outcome | int | str | Version | tuple[Version, ...] | None
"""``CREATE`` gives a number, ``LATEST`` a version, ``LIST`` versions, ``READ`` what tells the data, the others
nothing."""


@frozen
class Operation:
    """
    A call and its outcome.

    Attributes:
        answered_ns: when it ended; if the outcome is unknown, the latest time at which it can have taken effect.
        data: the data of a creation; no two creations have the same.
        archived: what kind of version a creation makes.
        number: which version is read.
    """

    act: Act
    invoked_ns: int
    answered_ns: int = FOREVER
    result: Result = None
    data: str = ""
    archived: bool = False
    number: int = 0

    @property
    def is_certain(self) -> bool:
        """
        Return whether it certainly happened.
        """
        return self.result is not Outcome.UNKNOWN

    @property
    def only_looked(self) -> bool:
        """
        Return whether it changed nothing, whenever it happened.
        """
        return self.act in _LOOKS or self.result is Outcome.NOT_FOUND


class State(NamedTuple):
    """
    A model.

    Attributes:
        versions: by rising number, with whether they are archived; ``None`` where there is no model.
        last: the highest number given out.
        exact: the next one is one higher; after a crash it may be any that is higher.
    """

    versions: tuple[tuple[Version, bool], ...] | None = None
    last: int = 0
    exact: bool = True

    @property
    def listed(self) -> tuple[Version, ...]:
        """
        The versions of a model that is there.
        """
        return tuple(version for version, _ in self.versions or ())


ABSENT = State()


def _save(state: State, operation: Operation) -> State | None:
    return State(()) if state.versions is None else state


def _delete(state: State, operation: Operation) -> State | None:
    was_absent = operation.result is Outcome.NOT_FOUND
    if operation.is_certain and was_absent != (state.versions is None):
        return None
    return ABSENT


def _create(state: State, operation: Operation) -> State | None:
    if state.versions is None or operation.result is Outcome.NOT_FOUND:
        return state if state.versions is None and not isinstance(operation.result, int) else None
    number = operation.result if isinstance(operation.result, int) else state.last + 1
    if number <= state.last or (state.exact and number != state.last + 1):
        return None
    created = (Version(number, operation.data), operation.archived)
    return State((*state.versions, created), number, state.exact or operation.is_certain)


def _latest(state: State, operation: Operation) -> State | None:
    latest = state.listed[-1] if state.versions else Outcome.NOT_FOUND
    return state if operation.result == latest else None


def _list(state: State, operation: Operation) -> State | None:
    listed = Outcome.NOT_FOUND if state.versions is None else state.listed
    return state if operation.result == listed else None


def _read(state: State, operation: Operation) -> State | None:
    data: Result = Outcome.NOT_FOUND
    for version in state.listed:
        if version.number == operation.number:
            data = version.data
    return state if operation.result == data else None


def _restart(state: State, operation: Operation) -> State | None:
    if state.versions is None:
        return state
    archived = tuple(pair for pair in state.versions if pair[1])
    return State(archived, state.last, state.exact and operation.act is Act.RESTART)


_STEPS: dict[Act, Callable[[State, Operation], State | None]] = {
    Act.SAVE: _save,
    Act.DELETE: _delete,
    Act.CREATE: _create,
    Act.LATEST: _latest,
    Act.LIST: _list,
    Act.READ: _read,
    Act.RESTART: _restart,
    Act.CRASH: _restart,
}


def step(state: State, operation: Operation) -> State | None:
    """
    Execute one operation on a sequential registry.

    Returns:
        the model after it; ``None`` if its caller would have received something else.
    """
    return _STEPS[operation.act](state, operation)


def _seen(history: Iterable[Operation]) -> Iterator[Version]:
    for operation in history:
        if isinstance(operation.result, Version):
            yield operation.result
        elif isinstance(operation.result, tuple):
            yield from (version for version in operation.result if isinstance(version, Version))
        elif operation.act is Act.READ and isinstance(operation.result, str):
            yield Version(operation.number, operation.result)


def settled(history: Sequence[Operation]) -> list[Operation]:
    """
    Leave out reads without a result, and resolve broken creations whose versions were seen.

    Returns:
        the rest, in the order of the calls.
    """
    numbers = {version.data: version.number for version in _seen(history)}
    kept = []
    for operation in sorted(history, key=lambda one: one.invoked_ns):
        if operation.is_certain:
            kept.append(operation)
        elif operation.act is Act.CREATE and operation.data in numbers:
            kept.append(evolve(operation, result=numbers[operation.data]))
        elif operation.act not in _LOOKS:
            kept.append(operation)
    return kept


class _Place(NamedTuple):
    """
    A place of the search.

    Attributes:
        done: a bit for each operation that has its moment.
        now_ns: the next moment is not before this one.
    """

    done: int
    state: State
    now_ns: int = 0


class _Search:
    """
    Looks for an order.
    """

    def __init__(self, history: Sequence[Operation]) -> None:
        self._operations = settled(history)
        self._wanted = sum(1 << index for index, one in enumerate(self._operations) if one.is_certain)
        self.furthest = _Place(0, ABSENT)

    def find(self, most_places: int) -> bool | None:
        """
        Return whether there is an order; ``None`` if the search was not finished.
        """
        places, been = [self.furthest], {self.furthest}
        while places and len(been) < most_places:
            place = places.pop()
            if place.done & self._wanted == self._wanted:
                return True
            if place.done.bit_count() > self.furthest.done.bit_count():
                self.furthest = place
            new = [following for following in self._following(place) if following not in been]
            been.update(new)
            places.extend(new)
        return None if places else False

    def _following(self, place: _Place) -> list[_Place]:
        found = []
        possible = self.possible(place)
        expiry_ns = min((one.answered_ns for _, one in possible if not one.is_certain), default=FOREVER)
        for index, operation in possible:
            state = step(place.state, operation)
            if state is None:
                continue
            following = _Place(place.done | 1 << index, state, max(place.now_ns, operation.invoked_ns))
            if operation.only_looked and operation.invoked_ns <= expiry_ns:
                # It changes nothing, ever, and what may come before it may come after it: no other order is needed.
                return [following]
            if state != place.state or operation.is_certain:
                found.append(following)
        return found

    def possible(self, place: _Place) -> list[tuple[int, Operation]]:
        """
        Return the operations that may come next: those that were called before the first unfinished reply.
        """
        rest = [(index, one) for index, one in enumerate(self._operations) if not place.done >> index & 1]
        horizon = min((one.answered_ns for _, one in rest if one.is_certain), default=FOREVER)
        return [pair for pair in rest if pair[1].invoked_ns <= horizon and pair[1].answered_ns >= place.now_ns]


def find_fault(history: Sequence[Operation], most_places: int = MOST_PLACES) -> str | None:
    """
    Return what is wrong with a history of one model that does not exist at first.

    Args:
        most_places: the limit of the search.

    Returns:
        the explained part and the rest; ``None`` if it is linearizable.
    """
    search = _Search(history)
    found = search.find(most_places)
    if found:
        return None
    if found is None:
        return f"it was not decided in {most_places} steps: {history}"
    next_ones = [str(one) for _, one in search.possible(search.furthest)]
    count = search.furthest.done.bit_count()
    return f"after {count} of {len(history)} operations, with {search.furthest.state}, none of these fits: {next_ones}"
