"""
The model of the registry: the states that one of its models can have, and the acts that change or read it.

A new durable act is a new class here, and a field of ``State`` for what it changes.  All is immutable and hashable, so
that a search can remember it.
"""

from bisect import bisect_left
from collections.abc import Mapping
from enum import Enum
from operator import attrgetter
from typing import NamedTuple

from attrs import evolve, frozen

Items = tuple[tuple[str, str], ...]
"""Metadata, as sorted pairs."""

PIN = "label pin"
"""The key of the label that protects a version from being pruned, among labels and metrics."""


def items(metadata: Mapping[str, str]) -> Items:
    """
    Return metadata as sorted pairs.
    """
    return tuple(sorted(metadata.items()))


class Outcome(Enum):
    """
    The replies besides values.
    """

    NOT_FOUND = "not found"
    ABORTED = "aborted"
    """An alias does not name the expected version."""
    PRECONDITION = "precondition"
    """An alias names the version."""
    KEPT = "kept"
    """A version was not pruned."""
    UNKNOWN = "unknown"
    """There was no reply: the act may have happened, or not."""


class Version(NamedTuple):
    """
    A version; its number and its time are 0 as long as they are not known.
    """

    number: int
    sha256: str
    size_bytes: int = 0
    archived: bool = False
    metadata: Items = ()
    created_ns: int = 0

    @property
    def identity(self) -> tuple[object, ...]:
        """
        All that its creator knows of it, and that no act changes.
        """
        return self.sha256, self.size_bytes, self.metadata

    def matches(self, expected: "Version") -> bool:
        """
        Return whether this is the expected version, as far as that one is known.
        """
        return (
            (self.identity, self.archived) == (expected.identity, expected.archived)
            and expected.number in (0, self.number)
            and expected.created_ns in (0, self.created_ns)
        )


@frozen
class Move:
    """
    A move of an alias; ``to_number`` is 0 if it was deleted, ``from_number`` if it did not exist.
    """

    sequence: int
    alias: str
    from_number: int
    to_number: int
    reason: str


@frozen
class Aliases:
    """
    The aliases of a model: pairs of a name and a number, sorted.
    """

    pairs: tuple[tuple[str, int], ...] = ()


@frozen
class History:
    """
    The moves of a model's aliases, in order.
    """

    moves: tuple[Move, ...] = ()


@frozen
class Record:
    """
    A version with its annotations and its aliases.
    """

    version: Version
    annotations: Items = ()
    aliases: tuple[str, ...] = ()


_number = attrgetter("number")

Reply = Outcome | str | Version | tuple[Version, ...] | Move | Aliases | History | Record | None
"""A creation and ``Latest`` return a version, ``ListVersions`` versions, ``ReadData`` a SHA-256, ``MoveAlias`` the
move, other reads what their names say, and all others nothing."""


@frozen(cache_hash=True)
class State:
    """
    A model at one time.

    Attributes:
        exists: whether the model exists; if not, all else has its default.
        versions: the versions that exist, by rising number.
        maybe: versions that may also exist.
        last: the highest number that anybody has seen.
        reserved: the highest number that was reserved.
        exact: whether the next number is one above the last; after a crash it may be any that is higher.
        annotations: the labels and metrics of the versions that have any, by rising number.
        aliases: pairs of an alias and the number that it names, sorted.
        moves: all moves of aliases, in order.
        kept_last: how many of the newest versions its retention policy keeps; 0 without a policy.
    """

    exists: bool = False
    metadata: Items = ()
    versions: tuple[Version, ...] = ()
    maybe: tuple[Version, ...] = ()
    last: int = 0
    reserved: int = 0
    exact: bool = True
    annotations: tuple[tuple[int, Items], ...] = ()
    aliases: tuple[tuple[str, int], ...] = ()
    moves: tuple[Move, ...] = ()
    kept_last: int = 0

    def version(self, number: int) -> Version | None:
        """
        Return the version of a number, if it exists.
        """
        position = bisect_left(self.versions, number, key=_number)
        exists = position < len(self.versions) and self.versions[position].number == number
        return self.versions[position] if exists else None

    def with_version(self, version: Version) -> "State":
        """
        Return the state in which a version exists, in place of any other of its number.
        """
        position, other = bisect_left(self.versions, version.number, key=_number), self.version(version.number)
        rest = self.versions[position + (other is not None) :]
        maybe = tuple(one for one in self.maybe if one.identity != version.identity)
        last = max(self.last, version.number)
        return evolve(self, versions=(*self.versions[:position], version, *rest), maybe=maybe, last=last)

    def annotations_of(self, number: int) -> Items:
        """
        Return the labels and metrics of a version.
        """
        return dict(self.annotations).get(number, ())

    def with_annotations(self, number: int, annotations: Items) -> "State":
        """
        Return the state in which a version has these labels and metrics.
        """
        others = {**dict(self.annotations), number: annotations}
        return evolve(self, annotations=tuple(sorted(pair for pair in others.items() if pair[1])))

    def aliases_of(self, number: int) -> tuple[str, ...]:
        """
        Return the aliases that name a version.
        """
        return tuple(alias for alias, named in self.aliases if named == number)

    def alias_number(self, alias: str) -> int:
        """
        Return the number that an alias names; 0 if it does not exist.
        """
        return dict(self.aliases).get(alias, 0)

    def last_move(self, alias: str) -> Move | None:
        """
        Return the last move of an alias.
        """
        return next((move for move in reversed(self.moves) if move.alias == alias), None)

    def next_move(self, alias: str, number: int, reason: str) -> Move:
        """
        Return the next move, if it is of this alias.
        """
        sequence = self.moves[-1].sequence + 1 if self.moves else 1
        return Move(sequence, alias, self.alias_number(alias), number, reason)

    def moved(self, move: Move) -> "State":
        """
        Return the state after a move.
        """
        aliases = {**dict(self.aliases), move.alias: move.to_number}
        named = tuple(sorted(pair for pair in aliases.items() if pair[1]))
        return evolve(self, aliases=named, moves=(*self.moves, move))

    def unordered(self) -> "State":
        """
        Return the state without the order of numbers: of acts at once, the first to end may have the higher number.
        """
        return evolve(self, last=0, exact=False)


ABSENT = State()


class Act:
    """
    An act on a model.
    """

    changes = True
    """False for acts that only read."""
    is_one_of_many = False
    """True if hundreds of such acts may be under way, so that ``begin`` changes a state instead of adding others."""

    def fits(self, state: State, reply: Reply) -> bool:
        """
        Return whether the reply is possible if the act happens in a state.
        """
        return state.exists and reply is not Outcome.NOT_FOUND

    def apply(self, state: State, reply: Reply) -> State:
        """
        Return the state after the act, with a reply that fits.
        """
        return state

    def begin(self, state: State) -> State:
        """
        Return the state in which the act may happen at any time.  Only for acts that are one of many.
        """
        return state


@frozen
class SaveModel(Act):
    """
    The creation of a model, or new metadata for it.
    """

    metadata: Items = ()

    def fits(self, state: State, reply: Reply) -> bool:
        return reply is not Outcome.NOT_FOUND

    def apply(self, state: State, reply: Reply) -> State:
        return evolve(state, exists=True, metadata=self.metadata)


@frozen
class DeleteModel(Act):
    """
    The deletion of a model.
    """

    def fits(self, state: State, reply: Reply) -> bool:
        return reply is Outcome.UNKNOWN or (reply is Outcome.NOT_FOUND) != state.exists

    def apply(self, state: State, reply: Reply) -> State:
        return ABSENT


@frozen
class CreateVersion(Act):
    """
    The creation of a version, with a number of the registry's choice if that is 0.
    """

    is_one_of_many = True
    version: Version

    def fits(self, state: State, reply: Reply) -> bool:
        if not isinstance(reply, Version):
            return reply is Outcome.UNKNOWN or not state.exists
        is_next = reply.number == state.last + 1 or (not state.exact and reply.number > state.last)
        return state.exists and is_next and reply.matches(self.version)

    def apply(self, state: State, reply: Reply) -> State:
        if not state.exists or reply is Outcome.NOT_FOUND:
            return state
        if isinstance(reply, Version):
            return evolve(state.with_version(reply), exact=True)
        return state.with_version(self.version._replace(number=self.version.number or state.last + 1))

    def begin(self, state: State) -> State:
        return evolve(state, maybe=(*state.maybe, self.version)) if state.exists else state


@frozen
class CopyVersion(CreateVersion):
    """
    The creation of a version from one of another model, which is there all the time.

    Attributes:
        source: the other model's id.
        source_number: that version's number.
    """

    source: str = ""
    source_number: int = 0


@frozen
class CommitVersion(CreateVersion):
    """
    The creation of a version of a known number, with labels, metrics and moves of aliases that happen with it or not
    at all.

    Attributes:
        annotations: the labels and metrics.
        moves: the moves, with their sequence numbers.
    """

    is_one_of_many = False
    annotations: Items = ()
    moves: tuple[Move, ...] = ()

    def apply(self, state: State, reply: Reply) -> State:
        after = super().apply(state, reply)
        if after.version(self.version.number) is None:
            return state
        return _moved(after.with_annotations(self.version.number, self.annotations), self.moves)


def _moved(state: State, moves: tuple[Move, ...]) -> State:
    for move in moves:
        state = state.moved(move)
    return state


@frozen
class ReserveNumbers(Act):
    """
    A new high-water mark of an archive.
    """

    mark: int

    def apply(self, state: State, reply: Reply) -> State:
        return evolve(state, reserved=self.mark)


@frozen
class _ActOnVersion(Act):
    number: int

    def fits(self, state: State, reply: Reply) -> bool:
        return reply is Outcome.UNKNOWN or (reply is Outcome.NOT_FOUND) == (state.version(self.number) is None)


@frozen
class ArchiveVersion(_ActOnVersion):
    """
    A transient version becomes an archived one, with the same number.
    """

    def apply(self, state: State, reply: Reply) -> State:
        version = state.version(self.number)
        return state.with_version(version._replace(archived=True)) if version is not None else state


@frozen
class PromoteVersion(ArchiveVersion):
    """
    The same with labels, metrics and moves of aliases that happen with it or not at all.

    Attributes:
        annotations: the labels and metrics.
        moves: the moves, with their sequence numbers.
    """

    annotations: Items = ()
    moves: tuple[Move, ...] = ()

    def apply(self, state: State, reply: Reply) -> State:
        after = super().apply(state, reply)
        if after.version(self.number) is None:
            return state
        return _moved(after.with_annotations(self.number, self.annotations), self.moves)


@frozen
class EvictVersion(_ActOnVersion):
    """
    The eviction of a transient version, if it exists.
    """

    def fits(self, state: State, reply: Reply) -> bool:
        version = state.version(self.number)
        return version is None or not version.archived

    def apply(self, state: State, reply: Reply) -> State:
        return _without(state, self.number)


@frozen
class DeleteVersion(_ActOnVersion):
    """
    The deletion of a version that no alias names; its number stays used.
    """

    def fits(self, state: State, reply: Reply) -> bool:
        is_refused = reply is Outcome.PRECONDITION
        return super().fits(state, reply) and (reply is Outcome.UNKNOWN or is_refused == self._is_named(state))

    def apply(self, state: State, reply: Reply) -> State:
        return state if self._is_named(state) else _without(state, self.number)

    def _is_named(self, state: State) -> bool:
        return bool(state.aliases_of(self.number))


@frozen
class PruneVersion(_ActOnVersion):
    """
    The deletion of a version, unless it is the latest, an alias names it, or it is pinned.  It may also be kept because
    its labels or metrics change meanwhile.
    """

    def fits(self, state: State, reply: Reply) -> bool:
        if reply in (Outcome.UNKNOWN, Outcome.KEPT):
            return reply is Outcome.UNKNOWN or state.exists
        return not state.exists if reply is Outcome.NOT_FOUND else self._may_go(state)

    def apply(self, state: State, reply: Reply) -> State:
        if reply in (Outcome.KEPT, Outcome.NOT_FOUND):
            return state
        return _without(state, self.number) if self._may_go(state) else state

    def _may_go(self, state: State) -> bool:
        if state.version(self.number) is None:
            return False
        # A version that is being created may be the latest.
        is_latest = state.versions[-1].number == self.number and not state.maybe
        return not (is_latest or state.aliases_of(self.number) or PIN in dict(state.annotations_of(self.number)))


def _without(state: State, number: int) -> State:
    versions = tuple(one for one in state.versions if one.number != number)
    return evolve(state.with_annotations(number, ()), versions=versions)


@frozen
class Annotate(_ActOnVersion):
    """
    New labels and metrics of a version; those with other keys stay.
    """

    annotations: Items

    def apply(self, state: State, reply: Reply) -> State:
        if state.version(self.number) is None:
            return state
        return state.with_annotations(self.number, items({**dict(state.annotations_of(self.number)), **self.added}))

    @property
    def added(self) -> dict[str, str]:
        """
        The labels and metrics as a dictionary.
        """
        return dict(self.annotations)


@frozen
class MoveAlias(Act):
    """
    A move of an alias to an archived version, or its deletion.  A transient version is archived by another act, before.

    Attributes:
        number: the version that it shall name; 0 to delete it.
        reason: no two moves have the same.
        expected: the number that it must name; 0 if it must not exist; ``None`` for any.
    """

    alias: str
    number: int
    reason: str
    expected: int | None = None

    def fits(self, state: State, reply: Reply) -> bool:
        if reply is Outcome.UNKNOWN:
            return True
        refusals = self._refusals(state)
        if refusals or isinstance(reply, Outcome):
            return reply in refusals
        return self._is_allowed(state) and reply in (None, self._move(state))

    def apply(self, state: State, reply: Reply) -> State:
        if self._refusals(state) or not self._is_allowed(state) or state.alias_number(self.alias) == self.number:
            return state
        return state.moved(self._move(state))

    def _move(self, state: State) -> Move:
        last = state.last_move(self.alias)
        if last is not None and last.to_number == self.number:
            return last
        return state.next_move(self.alias, self.number, self.reason)

    def _refusals(self, state: State) -> set[Outcome]:
        if not state.exists:
            return {Outcome.NOT_FOUND}
        present = state.alias_number(self.alias)
        is_there = present if not self.number else state.version(self.number) is not None
        refusals = set() if is_there else {Outcome.NOT_FOUND}
        return refusals if self.expected in (None, present) else refusals | {Outcome.ABORTED}

    def _is_allowed(self, state: State) -> bool:
        version = state.version(self.number)
        return not self.number or (version is not None and version.archived)


@frozen
class MoveAliases(Act):
    """
    Moves of aliases that happen together or not at all.

    Attributes:
        moves: the moves, with their sequence numbers.
    """

    moves: tuple[Move, ...]

    def apply(self, state: State, reply: Reply) -> State:
        return _moved(state, self.moves) if state.exists else state


@frozen
class SetRetention(Act):
    """
    A new retention policy of a model.

    Attributes:
        kept_last: how many of the newest versions it keeps; 0 to remove the policy.
    """

    kept_last: int

    def apply(self, state: State, reply: Reply) -> State:
        return evolve(state, kept_last=self.kept_last) if state.exists else state


@frozen
class Restart(Act):
    """
    A clean stop of the registry, or a kill, and its next start: transient versions are lost.
    """

    is_clean: bool = False

    def fits(self, state: State, reply: Reply) -> bool:
        return True

    def apply(self, state: State, reply: Reply) -> State:
        versions, maybe = (tuple(one for one in all_ if one.archived) for all_ in (state.versions, state.maybe))
        exact = not state.exists or (state.exact and self.is_clean)
        numbers = {version.number for version in versions}
        annotations = tuple(pair for pair in state.annotations if pair[0] in numbers)
        return evolve(state, versions=versions, maybe=maybe, exact=exact, annotations=annotations)


@frozen
class ListVersions(Act):
    """
    The list of all versions.
    """

    changes = False

    def fits(self, state: State, reply: Reply) -> bool:
        if not state.exists or not isinstance(reply, tuple) or isinstance(reply, Version):
            return not state.exists and reply is Outcome.NOT_FOUND
        return len(reply) == len(state.versions) and all(map(Version.matches, reply, state.versions))


@frozen
class Latest(Act):
    """
    The latest version.
    """

    changes = False

    def fits(self, state: State, reply: Reply) -> bool:
        if not isinstance(reply, Version):
            return not state.versions and reply is Outcome.NOT_FOUND
        return bool(state.versions) and reply.matches(state.versions[-1])


@frozen
class ReadData(Act):
    """
    The data of a version.
    """

    changes = False
    number: int

    def fits(self, state: State, reply: Reply) -> bool:
        version = state.version(self.number)
        return reply == (version.sha256 if version is not None else Outcome.NOT_FOUND)


@frozen
class ReadRecord(Act):
    """
    A version with its labels, metrics and aliases.
    """

    changes = False
    number: int

    def fits(self, state: State, reply: Reply) -> bool:
        version = state.version(self.number)
        if version is None or not isinstance(reply, Record):
            return version is None and reply is Outcome.NOT_FOUND
        expected = state.annotations_of(self.number), state.aliases_of(self.number)
        return reply.version.matches(version) and (reply.annotations, reply.aliases) == expected


@frozen
class ReadAlias(Act):
    """
    The version that an alias names, by the alias, with its labels, metrics and aliases.
    """

    changes = False
    alias: str

    def fits(self, state: State, reply: Reply) -> bool:
        number = state.alias_number(self.alias)
        return ReadRecord(number).fits(state, reply) if number else reply is Outcome.NOT_FOUND


@frozen
class ReadAliases(Act):
    """
    The aliases of a model.
    """

    changes = False

    def fits(self, state: State, reply: Reply) -> bool:
        return reply == (Aliases(state.aliases) if state.exists else Outcome.NOT_FOUND)


@frozen
class ReadHistory(Act):
    """
    The moves of all aliases of a model.
    """

    changes = False

    def fits(self, state: State, reply: Reply) -> bool:
        return reply == (History(state.moves) if state.exists else Outcome.NOT_FOUND)
