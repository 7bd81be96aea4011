"""
Tests that the model of the promises finds each way to break one, on registries that are wrong on purpose.
"""

import random
import re
from collections.abc import Callable

from attrs import define, evolve, field, frozen
from twisted.trial.unittest import SynchronousTestCase

from tests.robustness.oracles.acts import (
    ABSENT,
    Act,
    Annotate,
    ArchiveVersion,
    CopyVersion,
    CreateVersion,
    DeleteModel,
    DeleteVersion,
    Latest,
    Move,
    MoveAlias,
    Outcome,
    PruneVersion,
    ReadData,
    Reply,
    Restart,
    SaveModel,
    State,
    Version,
)
from tests.robustness.oracles.linearizability import Operation, find_fault
from tests.robustness.oracles.promises import Begun, Promises, Subscriber

_MODEL_ID = "m"
_STEPS = 60
_RUNS = 30


@define
class Registry:
    """
    A registry of one model, which keeps its promises.  It shares no code with the model of them.
    """

    exists: bool = False
    metadata: str = ""
    versions: dict[int, Version] = field(factory=dict)
    deleted: dict[int, Version] = field(factory=dict)
    last: int = 0

    def do(self, act: Act) -> Reply:
        """
        Execute an act.
        """
        if isinstance(act, SaveModel):
            self.exists, self.metadata = True, dict(act.metadata)["a"]
        elif isinstance(act, DeleteModel):
            self.exists, self.metadata, self.last = False, "", 0
            self.deleted, self.versions = self.versions, {}
        elif isinstance(act, CopyVersion):
            return self.copy(act.version)
        elif isinstance(act, CreateVersion):
            return self.create(act.version)
        elif isinstance(act, PruneVersion):
            return self.prune(act.number)
        elif isinstance(act, ArchiveVersion):
            self.archive(act.number)
        elif isinstance(act, DeleteVersion):
            self.deleted[act.number] = self.versions.pop(act.number)
        return None

    def create(self, version: Version) -> Version:
        """
        Create a version.
        """
        self.last += 1
        created = version._replace(number=self.last, created_ns=1000 + self.last)
        self.versions[self.last] = created
        return created

    def copy(self, version: Version) -> Version:
        """
        Create a version from one of another model.
        """
        return self.create(version)

    def prune(self, number: int) -> Reply:
        """
        Delete a version that is not the latest.
        """
        if number == max(self.versions):
            return Outcome.KEPT
        self.deleted[number] = self.versions.pop(number)
        return None

    def archive(self, number: int) -> None:
        """
        Archive a version.
        """
        self.versions[number] = self.versions[number]._replace(archived=True)

    def restart(self) -> None:
        """
        Lose transient versions.
        """
        self.versions = {number: one for number, one in self.versions.items() if one.archived}

    def latest(self) -> Reply:
        """
        Return the latest version.
        """
        return self.versions[max(self.versions)] if self.versions else Outcome.NOT_FOUND

    def read(self, number: int) -> str:
        """
        Return what tells the data of a version from all others.
        """
        return self.versions[number].sha256

    def found(self) -> State:
        """
        Return all that can be read.
        """
        if not self.exists:
            return ABSENT
        versions = tuple(self.versions[number] for number in sorted(self.versions))
        return State(True, (("a", self.metadata),), versions)


class LosesVersions(Registry):
    """A restart loses the newest archived version."""

    def restart(self) -> None:
        super().restart()
        if self.versions:
            del self.versions[max(self.versions)]


class ForgetsNumbers(Registry):
    """After a restart, the numbers of transient versions come again."""

    def restart(self) -> None:
        super().restart()
        self.last = max(self.versions, default=0)


class DoublesNumbers(Registry):
    """A version gets the number of another one now and then."""

    def create(self, version: Version) -> Version:
        self.last -= self.last % 5 == 4
        return super().create(version)


class DoublesVersions(Registry):
    """A creation makes two versions now and then."""

    def create(self, version: Version) -> Version:
        if self.last % 5 == 0:
            super().create(version)
        return super().create(version)


class ChangesBytes(Registry):
    """The data of a version is not what was sent."""

    def read(self, number: int) -> str:
        return super().read(number) + "!" * (number % 4 == 3)


class ChangesVersions(Registry):
    """A restart changes the metadata of a version."""

    def restart(self) -> None:
        super().restart()
        for number in [*self.versions][-1:]:
            self.versions[number] = self.versions[number]._replace(metadata=(("by", "nobody"),))


class RevivesVersions(Registry):
    """A deleted version, or one of a deleted model, is back after a restart."""

    def restart(self) -> None:
        super().restart()
        if self.exists:
            self.versions |= {number: one for number, one in self.deleted.items() if one.archived}


class RevivesModels(Registry):
    """A deleted model is back after a restart."""

    def restart(self) -> None:
        super().restart()
        self.exists = self.exists or self.last == 0


class LosesMetadata(Registry):
    """A restart loses the metadata of the model."""

    def restart(self) -> None:
        super().restart()
        self.metadata = "lost"


class KeepsTransient(Registry):
    """A restart takes a transient version for an archived one."""

    def restart(self) -> None:
        for number in [*self.versions][-1:]:
            self.archive(number)
        super().restart()


class PrunesTheLatest(Registry):
    """The latest version is pruned."""

    def prune(self, number: int) -> Reply:
        self.deleted[number] = self.versions.pop(number)
        return None


class PrunesMore(Registry):
    """With a version, the one before it is pruned, too."""

    def prune(self, number: int) -> Reply:
        reply = super().prune(number)
        if reply is None:
            self.versions.pop(max((one for one in self.versions if one < number), default=0), None)
        return reply


class PrunesInMemory(Registry):
    """A version that was pruned is back after a restart."""

    def prune(self, number: int) -> Reply:
        self.pruned = self.versions.get(number)
        return super().prune(number)

    pruned: Version | None = None

    def restart(self) -> None:
        super().restart()
        if self.pruned is not None and self.pruned.archived:
            self.versions[self.pruned.number] = self.pruned
        self.pruned = None


class CopiesOtherBytes(Registry):
    """A copy has other data."""

    def copy(self, version: Version) -> Version:
        return super().copy(version._replace(sha256="other"))


class CopiesInMemory(Registry):
    """A copy is lost with the next restart."""

    def copy(self, version: Version) -> Version:
        created = super().copy(version)
        self.versions[created.number] = created._replace(archived=False)
        return created


class ArchivesNothing(Registry):
    """A version that was archived later is still transient."""

    def archive(self, number: int) -> None:
        pass


class StaleLatest(Registry):
    """The latest version is the one before it."""

    def latest(self) -> Reply:
        numbers = sorted(self.versions)
        return self.versions[numbers[-2]] if len(numbers) > 1 else super().latest()


WRONG: dict[type[Registry], str] = {
    LosesVersions: "versions .* are lost",
    ForgetsNumbers: "is given twice|was begun after number",
    DoublesNumbers: "is given twice",
    DoublesVersions: "one creation made several versions|nobody can have created",
    ChangesBytes: "ReadData.* cannot end with",
    ChangesVersions: "is now Version",
    RevivesVersions: "nobody can have created",
    RevivesModels: "it exists, and should not",
    LosesMetadata: "its metadata is",
    KeepsTransient: "nobody can have created",
    PrunesTheLatest: "PruneVersion.* cannot end with None",
    PrunesMore: "versions .* are lost",
    PrunesInMemory: "nobody can have created",
    CopiesOtherBytes: "CopyVersion.* cannot end with",
    CopiesInMemory: "versions .* are lost",
    ArchivesNothing: "versions .* are lost",
    StaleLatest: "Latest.* cannot end with",
}
"""Registries that break a promise, with what must be reported."""


@define
class Caller:
    """
    A caller that makes all kinds of calls, and loses some replies.
    """

    registry: Registry
    chance: random.Random
    promises: Promises = field(factory=Promises)
    history: list[Operation] = field(factory=list)
    _now: int = 0

    def work(self, steps: int) -> None:
        """
        Make calls, with restarts in between.
        """
        for _ in range(steps):
            if self.chance.random() < 0.1:
                self.restart()
            else:
                self.call(self._choose())
        self.restart()

    def _choose(self) -> Act:
        numbers = [*self.registry.versions]
        acts: list[Act] = [SaveModel((("a", str(self.chance.random())),))]
        if self.registry.exists:
            version = Version(0, f"sha256 {self.chance.random()}", 10, self.chance.random() < 0.5)
            acts += [*[CreateVersion(version)] * 5, CopyVersion(version, "source", 1), DeleteModel()]
        if numbers:
            number = self.chance.choice(numbers)
            acts += [ArchiveVersion(number), DeleteVersion(number), ReadData(number), ReadData(number)]
            acts += [PruneVersion(number)]
        return self.chance.choice(acts)

    def call(self, act: Act) -> None:
        """
        Make a call; of some nobody knows whether it happened.
        """
        if isinstance(act, ReadData):
            self._record(act, self.registry.read(act.number))
        elif self.chance.random() < 0.1 and isinstance(act, SaveModel | CreateVersion):
            self.promises.lose(self.promises.begin(_MODEL_ID, act))
            self._note(act, Outcome.UNKNOWN)
            if self.chance.random() < 0.5:
                self.registry.do(act)
            self.restart()
        else:
            self._record(act, self.registry.do(act))

    def _record(self, act: Act, reply: Reply) -> None:
        begun = self.promises.begin(_MODEL_ID, act)
        if reply is Outcome.KEPT:
            self.promises.deny(begun)
        else:
            self.promises.acknowledge(begun, reply)
        self._note(act, reply)

    def _note(self, act: Act, reply: Reply) -> None:
        self._now += 10
        self.history.append(Operation(act, self._now, self._now + 5, reply))

    def restart(self) -> None:
        """
        Restart, and compare all there is.
        """
        self.registry.restart()
        self.promises.restart()
        self._note(Restart(), None)
        self.promises.compare(_MODEL_ID, self.registry.found())
        self._record(Latest(), self.registry.latest())
        for number in self.registry.versions:
            self._record(ReadData(number), self.registry.read(number))


def wrong_of(make: Callable[[], Registry], seed: int) -> list[str]:
    """
    Return what the promises find wrong with a registry.
    """
    caller = Caller(make(), random.Random(seed))
    caller.work(_STEPS)
    return caller.promises.wrong


class WrongRegistryTests(SynchronousTestCase):
    """
    Registries that break a promise, and one that does not.
    """

    def test_a_right_registry_is_right(self) -> None:
        """
        A registry that keeps its promises is never reported.
        """
        for seed in range(_RUNS):
            self.assertEqual(wrong_of(Registry, seed), [], f"seed {seed}")

    def test_each_wrong_registry_is_found(self) -> None:
        """
        Each wrong registry is reported, for what is wrong with it.
        """
        for make, reported in WRONG.items():
            found = [seed for seed in range(_RUNS) if re.search(reported, "\n".join(wrong_of(make, seed)))]
            self.assertGreater(len(found), _RUNS // 4, make.__name__)

    def test_histories_of_a_right_registry_are_right(self) -> None:
        """
        The same model explains each history of calls to a right registry.
        """
        for seed in range(_RUNS):
            caller = Caller(Registry(), random.Random(seed))
            caller.work(12)
            self.assertIsNone(find_fault(caller.history), f"seed {seed}")

    def test_wrong_replies_are_found_in_histories(self) -> None:
        """
        The same model refuses histories with replies that a right registry cannot give.
        """
        wrong = ForgetsNumbers, DoublesNumbers, ChangesBytes, StaleLatest, LosesVersions, DoublesVersions
        for make in (*wrong, PrunesTheLatest, CopiesOtherBytes):
            callers = [Caller(make(), random.Random(seed)) for seed in range(_RUNS)]
            for caller in callers:
                caller.work(20)
            self.assertGreater(sum(bool(find_fault(one.history)) for one in callers), _RUNS // 3, make.__name__)


def sent(data: str, *, archived: bool = True) -> CreateVersion:
    """
    A creation.
    """
    return CreateVersion(Version(0, data, archived=archived))


def numbered(act: CreateVersion, number: int) -> Version:
    """
    The version that a creation made.
    """
    return act.version._replace(number=number, created_ns=1)


A, B, C = sent("a"), sent("b"), sent("c")


@frozen
class CompareAndSet(Act):
    """
    An act of a later day, as a separate class: a value that moves only from an expected one.
    """

    expected: str
    value: str

    def fits(self, state: State, reply: Reply) -> bool:
        """See ``Act``."""
        return reply is Outcome.UNKNOWN or (reply is Outcome.NOT_FOUND) != self._can(state)

    def apply(self, state: State, reply: Reply) -> State:
        """See ``Act``."""
        return evolve(state, metadata=(("a", self.value),)) if self._can(state) else state

    def _can(self, state: State) -> bool:
        return state.exists and state.metadata == (("a", self.expected),)


class PromiseTests(SynchronousTestCase):
    """
    Promises about what must, may and must not exist.
    """

    def setUp(self) -> None:
        """
        A model exists.
        """
        self.promises = Promises()
        self.done(SaveModel())

    def begin(self, act: Act) -> Begun:
        """
        Begin an act.
        """
        return self.promises.begin(_MODEL_ID, act)

    def done(self, act: Act, reply: Reply = None) -> None:
        """
        Record an act that was acknowledged.
        """
        self.promises.acknowledge(self.begin(act), reply)

    def lost(self, act: Act) -> None:
        """
        Record an act of which nobody knows whether it happened.
        """
        self.promises.lose(self.begin(act))

    def check(self, found: State) -> bool:
        """
        Return whether the model may be as it was found; the promises stay as they are.
        """
        promises = self.promises.copy()
        promises.compare(_MODEL_ID, found)
        return not promises.wrong

    def model(self, *versions: Version, value: str = "", last: int = 0) -> State:
        """
        A model that exists.
        """
        return State(True, (("a", value),) if value else (), versions, last=last)

    def test_acknowledged(self) -> None:
        """
        An acknowledged version exists.
        """
        self.done(A, numbered(A, 1))
        self.assertTrue(self.check(self.model(numbered(A, 1))))
        self.assertFalse(self.check(self.model()))
        self.assertFalse(self.check(self.model(numbered(A, 2))))
        self.assertFalse(self.check(ABSENT))

    def test_under_way(self) -> None:
        """
        A version that was begun exists or not, whole, and once.
        """
        self.begin(A)
        self.lost(B)
        for versions in ((), (numbered(A, 1),), (numbered(B, 1),), (numbered(B, 1), numbered(A, 2))):
            self.assertTrue(self.check(self.model(*versions)), versions)
        self.assertFalse(self.check(self.model(numbered(C, 1))))
        self.assertFalse(self.check(self.model(numbered(A, 1), numbered(A, 2))))
        self.assertFalse(self.check(self.model(numbered(A, 1)._replace(size_bytes=7))))

    def test_refused(self) -> None:
        """
        A refused version does not exist.
        """
        self.promises.refuse(self.begin(A))
        self.assertFalse(self.check(self.model(numbered(A, 1))))

    def test_what_was_found_stays(self) -> None:
        """
        A model that was in doubt stays as it was found.
        """
        self.lost(A)
        self.lost(DeleteModel())
        self.assertTrue(self.check(ABSENT))
        self.promises.compare(_MODEL_ID, self.model(numbered(A, 1)))
        self.assertEqual(self.promises.wrong, [])
        self.assertFalse(self.check(self.model()))
        self.assertFalse(self.check(ABSENT))

    def test_replies_in_any_order(self) -> None:
        """
        Of two creations at once, the later number may be acknowledged first.
        """
        first, second = self.begin(A), self.begin(B)
        self.promises.acknowledge(second, numbered(B, 2))
        self.promises.acknowledge(first, numbered(A, 1))
        self.assertEqual(self.promises.wrong, [])
        self.assertTrue(self.check(self.model(numbered(A, 1), numbered(B, 2))))

    def test_numbers_rise(self) -> None:
        """
        A creation has a higher number than all that were seen before it.
        """
        self.done(B, numbered(B, 2))
        self.done(A, numbered(A, 1))
        self.assertIn("was begun after number 2", self.promises.wrong[0])

    def test_numbers_outlive_their_versions(self) -> None:
        """
        The number of a version that no longer exists is not given to another one, and is not forgotten.
        """
        transient = sent("t", archived=False)
        begun = self.begin(B)
        self.done(transient, numbered(transient, 1))
        self.promises.restart()
        self.assertTrue(self.check(self.model(last=1)))
        self.assertFalse(self.check(self.model(last=-1)))
        self.promises.life(_MODEL_ID).pending.append(begun)
        self.promises.acknowledge(begun, numbered(B, 1))
        self.assertIn("given twice", self.promises.wrong[0])

    def test_seen_before_it_was_acknowledged(self) -> None:
        """
        A version that was seen exists, acknowledged or not; one that nobody sent is wrong.
        """
        begun = self.begin(A)
        self.promises.see(_MODEL_ID, numbered(A, 1))
        self.assertFalse(self.check(self.model()))
        self.promises.acknowledge(begun, numbered(A, 1))
        self.assertEqual(self.promises.wrong, [])
        self.promises.see(_MODEL_ID, numbered(C, 2))
        self.assertIn("nobody created", self.promises.wrong[0])

    def test_next_life(self) -> None:
        """
        A model that is created again has nothing of the deleted one, and begins again with 1; late news of that one
        are not wrong.
        """
        self.done(A, numbered(A, 1))
        self.done(DeleteModel())
        self.done(SaveModel())
        self.assertFalse(self.check(self.model(numbered(A, 1))))
        self.done(B, numbered(B, 1))
        self.promises.see(_MODEL_ID, numbered(A, 1))
        self.assertEqual(self.promises.wrong, [])
        self.assertEqual(self.promises.numbers, 2)

    def test_subscribers(self) -> None:
        """
        A subscriber receives versions that exist, in their order.
        """
        subscriber = Subscriber(self.promises, _MODEL_ID)
        self.done(A, numbered(A, 1))
        self.done(B, numbered(B, 2))
        subscriber.receive(numbered(B, 2))
        self.assertEqual(self.promises.wrong, [])
        subscriber.receive(numbered(A, 1))
        self.assertIn("received 1 after 2", self.promises.wrong[0])
        subscriber.receive(numbered(C, 3))
        self.assertIn("nobody created", self.promises.wrong[1])

    def test_metadata_at_once(self) -> None:
        """
        Of two changes at once, either may be the last, also if one of them is acknowledged.
        """
        first, second = self.begin(SaveModel((("a", "1"),))), self.begin(SaveModel((("a", "2"),)))
        self.promises.acknowledge(first)
        self.assertTrue(self.check(self.model(value="1")))
        self.assertTrue(self.check(self.model(value="2")))
        self.assertFalse(self.check(self.model()))
        self.promises.acknowledge(second)
        self.assertFalse(self.check(self.model()))
        self.assertTrue(self.check(self.model(value="1")))
        self.assertTrue(self.check(self.model(value="2")))

    def test_moves_of_aliases(self) -> None:
        """
        An acknowledged move is in the history once, with its place; the alias names an archived version.
        """
        self.done(A, numbered(A, 1))
        self.done(MoveAlias("best", 1, "why", expected=0), Move(1, "best", 0, 1, "why"))
        move = Move(1, "best", 0, 1, "why")
        found = evolve(self.model(numbered(A, 1)), aliases=(("best", 1),), moves=(move,))
        self.assertTrue(self.check(found))
        self.assertFalse(self.check(evolve(found, aliases=())))
        self.assertFalse(self.check(evolve(found, moves=())))
        self.assertFalse(self.check(evolve(found, moves=(move, evolve(move, sequence=2)))))
        self.assertFalse(self.check(evolve(found, versions=())))
        self.done(DeleteVersion(1), Outcome.PRECONDITION)
        self.done(MoveAlias("best", 0, "later", expected=2), Outcome.ABORTED)
        self.assertEqual(self.promises.wrong, [])
        self.done(DeleteVersion(1))
        self.assertIn("cannot end with", self.promises.wrong[0])

    def test_moves_at_once(self) -> None:
        """
        Two moves at once happen in any order, each once.
        """
        self.done(A, numbered(A, 1))
        first, second = (self.begin(MoveAlias("best", number, why)) for number, why in ((1, "one"), (0, "two")))
        self.promises.acknowledge(second, Outcome.NOT_FOUND)
        self.promises.acknowledge(first, Move(1, "best", 0, 1, "one"))
        move = Move(1, "best", 0, 1, "one")
        found = evolve(self.model(numbered(A, 1)), aliases=(("best", 1),), moves=(move,))
        self.assertTrue(self.check(found))
        self.assertFalse(self.check(evolve(found, aliases=(), moves=(move, Move(2, "best", 1, 0, "two")))))

    def test_deleted_before_its_creator_learns_of_it(self) -> None:
        """
        A version that others have seen and deleted does not exist once its creator has the reply.
        """
        begun = self.begin(A)
        self.promises.see(_MODEL_ID, numbered(A, 1))
        self.done(DeleteVersion(1))
        self.promises.acknowledge(begun, numbered(A, 1))
        self.assertEqual(self.promises.wrong, [])
        self.assertTrue(self.check(self.model()))
        self.assertFalse(self.check(self.model(numbered(A, 1))))

    def test_annotations(self) -> None:
        """
        Acknowledged labels stay, and go with their version.
        """
        self.done(A, numbered(A, 1))
        self.done(Annotate(1, (("label l", "x"),)))
        self.assertTrue(self.check(evolve(self.model(numbered(A, 1)), annotations=((1, (("label l", "x"),)),))))
        self.assertFalse(self.check(self.model(numbered(A, 1))))
        self.done(DeleteVersion(1))
        self.assertTrue(self.check(self.model()))

    def test_an_act_of_a_later_day(self) -> None:
        """
        A new act is one class: what it may have done, with what it did not, follows from it.
        """
        self.done(SaveModel((("a", "1"),)))
        self.lost(CompareAndSet("1", "2"))
        self.assertTrue(self.check(self.model(value="1")))
        self.assertTrue(self.check(self.model(value="2")))
        self.done(CompareAndSet("2", "3"))
        self.assertEqual(self.promises.wrong, [])
        self.assertFalse(self.check(self.model(value="1")))
        self.assertTrue(self.check(self.model(value="3")))
        self.done(CompareAndSet("2", "4"))
        self.assertIn("cannot end with", self.promises.wrong[0])
