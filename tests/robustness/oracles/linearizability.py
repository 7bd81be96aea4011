"""
The check whether the results of concurrent calls can be explained by one order of the calls.

A history is linearizable if each operation can be assigned a moment between its call and its reply such that, executed
in that order on a sequential registry (``step``), each operation returns what its caller received. The search is that
of Wing and Gong, which remembers where it has been, as Lowe proposed. A history is of one model: if each model's is
linearizable, so is the whole.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from attrs import evolve, frozen

from tests.robustness.oracles.acts import (
    ABSENT,
    Act,
    CreateVersion,
    Outcome,
    ReadData,
    Reply,
    State,
    Version,
)

FOREVER = 2**63
"""Later than any moment."""

MOST_PLACES = 500_000
"""The limit of the search: each broken call may double the number of places."""


@frozen
class Operation:
    """
    A call and its outcome.

    Attributes:
        act: what it does; no two creations are of the same data.
        answered_ns: when it ended; if the outcome is unknown, the latest time at which it can have taken effect.
    """

    act: Act
    invoked_ns: int
    answered_ns: int = FOREVER
    reply: Reply = None

    @property
    def is_certain(self) -> bool:
        """
        Return whether it certainly happened.
        """
        return self.reply is not Outcome.UNKNOWN

    @property
    def only_looked(self) -> bool:
        """
        Return whether it changed nothing, whenever it happened.
        """
        refusals = (Outcome.NOT_FOUND, Outcome.ABORTED, Outcome.PRECONDITION, Outcome.KEPT)
        return not self.act.changes or self.reply in refusals


def step(state: State, operation: Operation) -> State | None:
    """
    Execute one operation on a sequential registry.

    Returns:
        the model after it; ``None`` if its caller would have received something else.
    """
    fits = operation.act.fits(state, operation.reply)
    return operation.act.apply(state, operation.reply) if fits else None


def _seen(history: Iterable[Operation]) -> Iterator[tuple[str, int]]:
    for operation in history:
        reply = operation.reply
        if isinstance(operation.act, ReadData) and isinstance(reply, str):
            yield reply, operation.act.number
        elif isinstance(reply, tuple):
            seen = (reply,) if isinstance(reply, Version) else reply
            yield from [(version.sha256, version.number) for version in seen]


def settled(history: Sequence[Operation]) -> list[Operation]:
    """
    Leave out reads without a result, and resolve broken creations whose versions were seen.

    Returns:
        the rest, in the order of the calls.
    """
    numbers = dict(_seen(history))
    kept = []
    for operation in sorted(history, key=lambda one: one.invoked_ns):
        sent = operation.act.version if isinstance(operation.act, CreateVersion) else None
        if operation.is_certain:
            kept.append(operation)
        elif sent is not None and sent.sha256 in numbers:
            kept.append(evolve(operation, reply=sent._replace(number=numbers[sent.sha256])))
        elif operation.act.changes:
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
    The search for an order.
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
