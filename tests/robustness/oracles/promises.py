"""
The promises of a registry: for each model, all the states that it may have.

They follow from what was begun, acknowledged and seen.  An act that was begun and not acknowledged may have happened or
not, before or after each other such act.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import takewhile
from typing import NamedTuple, TypeVar

from attrs import define, evolve, field, frozen

from tests.robustness.oracles.acts import (
    ABSENT,
    Act,
    CreateVersion,
    DeleteModel,
    Outcome,
    Reply,
    Restart,
    SaveModel,
    State,
    Version,
)

T = TypeVar("T")


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
    if found.kept_last != state.kept_last:
        yield f"its retention policy keeps {found.kept_last} versions, not {state.kept_last}"
    yield from _differences_of_names(state, found)


def _differences_of_names(state: State, found: State) -> Iterator[str]:
    if found.annotations != state.annotations:
        yield f"its labels and metrics are {found.annotations}, not {state.annotations}"
    if found.aliases != state.aliases:
        yield f"its aliases are {found.aliases}, not {state.aliases}"
    if found.moves != state.moves:
        pairs = zip(found.moves, state.moves, strict=False)
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        yield f"after {same} moves its aliases have made {found.moves[same:]}, not {state.moves[same:]}"
    for alias, number in found.aliases:
        version = found.version(number)
        if version is None or not version.archived:
            yield f"alias {alias!r} names version {number}, which is {version}"


def _unique(values: Iterable[T]) -> tuple[T, ...]:
    kept = tuple(values)
    return kept if len(kept) < 2 else tuple(dict.fromkeys(kept))


@frozen(eq=False)
class Begun:
    """
    An act that was begun.

    Attributes:
        bases: the states in which it can have begun; all that are possible at its end, if that is not known.
        before: what was possible before.
        floor: the highest number that had been seen.
    """

    life: "Life"
    act: Act
    bases: tuple[State, ...]
    before: tuple["World", ...]
    floor: int


class World(NamedTuple):
    """
    One possible course of events.

    Attributes:
        state: the state of the model.
        done: the acts under way that have happened, each with the state in which it did.
    """

    state: State
    done: frozenset[tuple[Begun, State]] = frozenset()

    def has_done(self, begun: Begun) -> bool:
        """
        Return whether an act has happened.
        """
        return any(one is begun for one, _ in self.done)

    def do(self, begun: Begun) -> "World":
        """
        Return the world in which an act has happened, too.
        """
        after = begun.act.apply(self.state, Outcome.UNKNOWN) if self._can(begun) else self.state
        return World(after, self.done | {(begun, self.state)})

    def _can(self, begun: Begun) -> bool:
        return begun.act.fits(self.state, Outcome.UNKNOWN)

    def fits(self, begun: Begun, reply: Reply) -> bool:
        """
        Return whether an act has happened with this reply.
        """
        return any(one is begun and begun.act.fits(state.unordered(), reply) for one, state in self.done)

    def before(self, begun: Begun) -> Iterator[State]:
        """
        Yield the state in which an act has happened.
        """
        return (state for one, state in self.done if one is begun)

    def without(self, begun: Begun) -> "World":
        """
        Return the world with an act that is no longer under way.
        """
        return World(self.state, frozenset(pair for pair in self.done if pair[0] is not begun))


@define(eq=False)
class Life:
    """
    A model from its creation to its deletion.

    Attributes:
        worlds: the courses of events that are possible.
        given: every number that was seen, with its version, whether that exists or not.
        pending: the acts under way.
        late: acts that ended, and may still happen at the next restart.
    """

    model_id: str
    worlds: tuple[World, ...] = (World(ABSENT),)
    given: dict[int, Version] = field(factory=dict)
    pending: list[Begun] = field(factory=list)
    late: list[Act] = field(factory=list)

    @property
    def states(self) -> tuple[State, ...]:
        """
        Return the states that the model may have.
        """
        return _unique(world.state for world in self.worlds)

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
        begun = Begun(self, act, bases, self.worlds, max(world.state.last for world in self.worlds))
        self.pending.append(begun)
        if act.is_one_of_many:
            self._change(act.begin)
        elif bases:
            self.worlds = _unique((*self.worlds, *(World(base).do(begun) for base in bases)))
        else:
            self._add_possible()
        return begun

    def _change(self, change: Callable[[State], State]) -> None:
        self.worlds = _unique(World(change(world.state), world.done) for world in self.worlds)

    def _add_possible(self) -> None:
        acts = [begun for begun in self.pending if not (begun.act.is_one_of_many or begun.bases)]
        found, new = dict.fromkeys(self.worlds), list(self.worlds)
        while new:
            world = new.pop()
            following = [world.do(begun) for begun in acts if not world.has_done(begun)]
            new += [one for one in following if one not in found]
            found.update(dict.fromkeys(following))
        self.worlds = tuple(found)

    def end(self, begun: Begun, worlds: Iterable[World] | None = None) -> None:
        """
        Record that an act is no longer under way.

        Args:
            worlds: what is possible now; by default all that was.
        """
        self.pending.remove(begun)
        self.worlds = _unique(world.without(begun) for world in (self.worlds if worlds is None else worlds))

    def happen_late(self) -> None:
        """
        Add what is possible if acts happen at a restart.
        """
        for act in self.late:
            self.worlds = _unique((*self.worlds, *(World(act.apply(one, Outcome.UNKNOWN)) for one in self.states)))
        self.late.clear()

    def acknowledge(self, begun: Begun, reply: Reply) -> Iterator[str]:
        """
        Yield what is wrong with it.
        """
        if begun.act.is_one_of_many:
            yield from self._acknowledge_one_of_many(begun, reply)
            return
        fitting = [world for world in self.worlds if world.fits(begun, reply)]
        if not fitting:
            yield f"{begun.act} cannot end with {reply}"
        if isinstance(begun.act, SaveModel) and not any(state.exists for one in fitting for state in one.before(begun)):
            self.given.clear()  # the model was deleted before, and nobody was certain of it
        self.end(begun, fitting or None)
        yield from self._acknowledge_number(begun, reply)

    def _acknowledge_one_of_many(self, begun: Begun, reply: Reply) -> Iterator[str]:
        act = begun.act
        fitting = [world for world in self.worlds if act.fits(world.state.unordered(), reply)]
        if not fitting:
            yield f"{act} cannot end with {reply}"
        self.end(begun, fitting or None)
        # A version that others have seen may have changed, or be deleted, before its creator learns of it.
        if not (isinstance(reply, Version) and reply.number in self.given):
            self._change(lambda state: act.apply(state, reply))
        yield from self._acknowledge_number(begun, reply)

    def _acknowledge_number(self, begun: Begun, reply: Reply) -> Iterator[str]:
        if isinstance(begun.act, CreateVersion) and isinstance(reply, Version):
            if reply.number <= begun.floor:
                yield f"{reply} was begun after number {begun.floor} was used"
            yield from self._give(reply)

    def see(self, version: Version) -> Iterator[str]:
        """
        Yield what is wrong with it.
        """
        known = self.given.get(version.number)
        if known is not None and (known.identity, known.created_ns) == (version.identity, version.created_ns):
            if version.archived and not known.archived:
                self.given[version.number] = version
                self._change(lambda state: state.with_version(version) if state.version(version.number) else state)
            return  # it may be deleted by now, and this be late news
        possible = [one for state in self.states for one in (state.version(version.number), *state.maybe) if one]
        if not any(map(version.matches, possible)):
            yield f"nobody can have created {version}"
        yield from self._give(version)
        self._change(lambda state: state.with_version(version) if state.exists else state)

    def _give(self, version: Version) -> Iterator[str]:
        other = self.given.get(version.number, version)
        if other.identity != version.identity:
            yield f"number {version.number} is given twice: {other}, {version}"
        self.given[version.number] = version

    def compare(self, found: State) -> Iterator[str]:
        """
        Yield what is wrong with it.
        """
        nearest = min(self.states, key=lambda state: len(list(differences(state, found))))
        yield from differences(nearest, found)
        exact = all(state.exact for state in self.states)
        self.worlds = (World(evolve(found, last=max(found.last, nearest.last), exact=exact)),)
        for version in found.versions:
            yield from self._give(version)


@define(eq=False)
class Promises:
    """
    The promises about all models.  May be used in any thread.

    Attributes:
        wrong: a line for each broken promise.
        acknowledged: how many creations of versions were acknowledged.
        acts: how many acts of each class were acknowledged, refusals included.
    """

    wrong: list[str] = field(factory=list)
    acknowledged: int = 0
    acts: Counter[str] = field(factory=Counter)
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
            self.acts[type(begun.act).__name__] += 1
            if isinstance(begun.act, DeleteModel):
                self._end(begun.life)

    def refuse(self, begun: Begun) -> None:
        """
        Record that an act certainly did not happen.  There must not be another one since it was begun.
        """
        with self._lock:
            begun.life.end(begun, begun.before)

    def deny(self, begun: Begun) -> None:
        """
        Record that an act certainly did not happen, whatever else did since it was begun.
        """
        with self._lock:
            life = begun.life
            life.end(begun, [world for world in life.worlds if not world.has_done(begun)])

    def lose(self, begun: Begun, *, is_late: bool = False) -> None:
        """
        Record that an act ended, and that nobody knows whether it happened.

        Args:
            is_late: whether it may also happen at the next restart.
        """
        with self._lock:
            begun.life.end(begun)
            if is_late:
                begun.life.late.append(begun.act)

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
                life.happen_late()
                life.worlds = _unique(World(Restart(is_clean).apply(state, None)) for state in life.states)

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
            lives = [Life(one.model_id, tuple(map(World, one.states)), {**one.given}) for one in self.lives()]
            return Promises(lives={one.model_id: one for one in lives})

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
