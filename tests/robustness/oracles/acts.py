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


_number = attrgetter("number")

Reply = Outcome | str | Version | tuple[Version, ...] | None
"""A creation and ``Latest`` return a version, ``ListVersions`` versions, ``ReadData`` a SHA-256, all others nothing."""


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
    """

    exists: bool = False
    metadata: Items = ()
    versions: tuple[Version, ...] = ()
    maybe: tuple[Version, ...] = ()
    last: int = 0
    reserved: int = 0
    exact: bool = True

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

    def begin(self, state: State) -> tuple[State, ...]:
        """
        Return the states that are possible once the act has begun.
        """
        return (state, self.apply(state, Outcome.UNKNOWN)) if self.fits(state, Outcome.UNKNOWN) else (state,)


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

    def begin(self, state: State) -> tuple[State, ...]:
        # One state instead of two: hundreds of creations may be under way.
        return (evolve(state, maybe=(*state.maybe, self.version)) if state.exists else state,)


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
class DeleteVersion(_ActOnVersion):
    """
    The deletion of a version; its number stays used.
    """

    def apply(self, state: State, reply: Reply) -> State:
        return evolve(state, versions=tuple(one for one in state.versions if one.number != self.number))


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
        return evolve(state, versions=versions, maybe=maybe, exact=exact)


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
