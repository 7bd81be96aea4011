"""
The promises of a registry: for each model, all the states that it may have.

They follow from what was begun, acknowledged and seen.  An act that was begun and not acknowledged may have happened or
not.
"""

import threading
from collections.abc import Iterable, Iterator

from attrs import define, evolve, field, frozen

from tests.robustness.oracles.acts import ABSENT, Act, CreateVersion, DeleteModel, Reply, Restart, State, Version


def differences(state: State, found: State) -> Iterator[str]:
    """
    Describe how a model differs from a state that it may have.

    Args:
        found: the model as it was read; its last number is 0 if that cannot be read.
    """
    if not (state.exists and found.exists):
        if state.exists != found.exists:
            yield "it is gone" if state.exists else "it exists, and should not"
        return
    if state.metadata != found.metadata:
        yield f"its metadata is {found.metadata}, not {state.metadata}"
    numbers = [version.number for version in found.versions]
    if numbers != sorted({*numbers}):
        yield f"its versions are not in order: {numbers}"
    lost = sorted({version.number for version in state.versions} - {*numbers})
    if lost:
        yield f"versions {lost} are lost"
    if len({version.identity for version in found.versions}) < len({*numbers}):
        yield f"one creation made several versions: {found.versions}"
    for version in found.versions:
        expected = state.version(version.number)
        if expected is None and not any(map(version.matches, state.maybe)):
            yield f"nobody can have created {version}"
        elif expected is not None and not version.matches(expected):
            yield f"{expected} is now {version}"
    if found.last and found.last < max(state.last, state.reserved):
        yield f"numbers up to {max(state.last, state.reserved)} are used, and the next follows {found.last}"


def _unique(states: Iterable[State]) -> tuple[State, ...]:
    kept = tuple(states)
    return kept if len(kept) < 2 else tuple(dict.fromkeys(kept))


@frozen(eq=False)
class Begun:
    """
    An act that was begun.

    Attributes:
        bases: the states in which it can have begun; all that are possible at its end, if that is not known.
        before: the states that were possible before.
        floor: the highest number that had been seen.
    """

    life: "Life"
    act: Act
    bases: tuple[State, ...]
    before: tuple[State, ...]
    floor: int


@define(eq=False)
class Life:
    """
    A model from its creation to its deletion.

    Attributes:
        states: the states that it may have.
        given: every number that was seen, with its version, whether that exists or not.
        pending: the acts under way.
    """

    model_id: str
    states: tuple[State, ...] = (ABSENT,)
    given: dict[int, Version] = field(factory=dict)
    pending: list[Begun] = field(factory=list)

    @property
    def must_exist(self) -> bool:
        """
        Return whether the model certainly exists.
        """
        return all(state.exists for state in self.states)

    @property
    def may_exist(self) -> bool:
        """
        Return whether the model may exist.
        """
        return any(state.exists for state in self.states)

    def begin(self, act: Act, bases: tuple[State, ...]) -> Begun:
        """
        See ``Promises``, also for the other methods.
        """
        begun = Begun(self, act, bases, self.states, max(state.last for state in self.states))
        self.pending.append(begun)
        self._add_possible(begun)
        return begun

    def _add_possible(self, begun: Begun) -> None:
        if isinstance(begun.act, CreateVersion):
            self.states = _unique(one for state in self.states for one in begun.act.begin(state))
        else:
            began = (one for state in begun.bases or self.states for one in begun.act.begin(state))
            self.states = _unique((*self.states, *began))

    def acknowledge(self, begun: Begun, reply: Reply) -> Iterator[str]:
        """
        Yield what is wrong with it.
        """
        self.pending.remove(begun)
        states = begun.bases or self.states
        fitting = tuple(state for state in states if begun.act.fits(state.unordered(), reply))
        if not fitting:
            yield f"{begun.act} cannot end with {reply}"
        if isinstance(begun.act, CreateVersion) and isinstance(reply, Version):
            if reply.number <= begun.floor:
                yield f"{reply} was begun after number {begun.floor} was used"
            yield from self._give(reply)
        self.states = _unique(begun.act.apply(state, reply) for state in fitting or states)
        for other in self.pending:
            if not isinstance(other.act, CreateVersion):
                self._add_possible(other)

    def see(self, version: Version) -> Iterator[str]:
        """
        Yield what is wrong with it.
        """
        if self.given.get(version.number) == version:
            return
        possible = [one for state in self.states for one in (state.version(version.number), *state.maybe) if one]
        if not any(map(version.matches, possible)):
            yield f"nobody can have created {version}"
        yield from self._give(version)
        self.states = _unique(state.with_version(version) if state.exists else state for state in self.states)

    def _give(self, version: Version) -> Iterator[str]:
        other = self.given.get(version.number, version)
        if other.identity != version.identity:
            yield f"number {version.number} is given twice: {other}, {version}"
        self.given[version.number] = version

    def compare(self, found: State) -> Iterator[str]:
        """
        Yield what is wrong with it.
        """
        yield from min((list(differences(state, found)) for state in self.states), key=len)
        last = max(found.last, *(state.last for state in self.states))
        self.states = (evolve(found, last=last, exact=all(state.exact for state in self.states)),)
        for version in found.versions:
            yield from self._give(version)


@define(eq=False)
class Promises:
    """
    The promises about all models.  May be used in any thread.

    Attributes:
        wrong: a line for each broken promise.
        acknowledged: how many creations of versions were acknowledged.
    """

    wrong: list[str] = field(factory=list)
    acknowledged: int = 0
    _numbers: int = 0
    _lives: dict[str, Life] = field(factory=dict)
    _creators: dict[tuple[str, tuple[object, ...]], Life] = field(factory=dict)
    _lock: threading.RLock = field(factory=threading.RLock)

    def life(self, model_id: str) -> Life:
        """
        Return the present life of a model, which nobody need have created.
        """
        with self._lock:
            return self._lives.setdefault(model_id, Life(model_id))

    def lives(self) -> list[Life]:
        """
        Return the present lives of all models.
        """
        with self._lock:
            return list(self._lives.values())

    @property
    def numbers(self) -> int:
        """
        Return how many numbers were seen.
        """
        return self._numbers + sum(len(life.given) for life in self.lives())

    def begin(self, model_id: str, act: Act, *bases: State) -> Begun:
        """
        Record that an act begins; from now on it may have happened.

        Args:
            act: what it does; no two creations in a model send the same data with the same metadata.
            bases: the states in which it can begin; by default all that are possible.
        """
        with self._lock:
            life = self.life(model_id)
            if isinstance(act, CreateVersion):
                self._creators[model_id, act.version.identity] = life
            return life.begin(act, bases)

    def acknowledge(self, begun: Begun, reply: Reply = None) -> None:
        """
        Record that an act happened.

        Args:
            reply: what its caller received; the version, if one was created.
        """
        with self._lock:
            self._note(begun.life, begun.life.acknowledge(begun, reply))
            self.acknowledged += isinstance(begun.act, CreateVersion)
            if isinstance(begun.act, DeleteModel):
                self._end(begun.life)

    def refuse(self, begun: Begun) -> None:
        """
        Record that an act certainly did not happen.  There must not be another one since it was begun.
        """
        with self._lock:
            begun.life.pending.remove(begun)
            begun.life.states = begun.before

    def lose(self, begun: Begun) -> None:
        """
        Record that an act ended, and that nobody knows whether it happened.
        """
        with self._lock:
            begun.life.pending.remove(begun)

    def see(self, model_id: str, version: Version) -> None:
        """
        Record that a version was seen: from now on it exists.
        """
        with self._lock:
            life = self._creators.get((model_id, version.identity))
            if life is None:
                self.complain(model_id, f"nobody created {version}")
            else:
                self._note(life, life.see(version))

    def restart(self, is_clean: bool = False) -> None:
        """
        Record that the registry was stopped or killed: acts under way will not happen.
        """
        with self._lock:
            for life in self.lives():
                life.pending.clear()
                life.states = _unique(Restart(is_clean).apply(state, None) for state in life.states)

    def compare(self, model_id: str, found: State) -> None:
        """
        Compare a model that nobody uses with its promises; from now on it must stay as it was found.

        A registry that may have evicted versions is restarted first.
        """
        with self._lock:
            life = self.life(model_id)
            self._note(life, life.compare(found))
            if not found.exists:
                self._end(life)

    def complain(self, model_id: str, what: str) -> None:
        """
        Record something else that is wrong with a model.
        """
        with self._lock:
            self.wrong.append(f"model {model_id!r}: {what}")

    def copy(self) -> "Promises":
        """
        Return the promises of this moment; nothing that is recorded later changes them.
        """
        with self._lock:
            return Promises(lives={one.model_id: Life(one.model_id, one.states, {**one.given}) for one in self.lives()})

    def _end(self, life: Life) -> None:
        self._numbers += len(life.given)
        self._lives[life.model_id] = Life(life.model_id)

    def _note(self, life: Life, lines: Iterable[str]) -> None:
        for line in lines:
            self.complain(life.model_id, line)


@define(eq=False)
class Subscriber:
    """
    A subscription: each version that it receives was created, and is newer than the one before.
    """

    promises: Promises
    model_id: str
    last: int = 0

    def receive(self, version: Version) -> None:
        """
        Record that a version was received.
        """
        self.promises.see(self.model_id, version)
        if version.number <= self.last:
            self.promises.complain(self.model_id, f"a subscriber received {version.number} after {self.last}")
        self.last = version.number
