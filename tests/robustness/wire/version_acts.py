"""
Clients that archive, delete, annotate and name versions, and record what they were promised.
"""

import random
import threading
from collections.abc import Callable

from attrs import define, field

from tests.robustness.oracles.acts import (
    Act,
    Annotate,
    ArchiveVersion,
    DeleteVersion,
    EvictVersion,
    Move,
    MoveAlias,
    Outcome,
    PruneVersion,
    ReadAliases,
    ReadHistory,
    ReadRecord,
    Reply,
    State,
)
from tests.robustness.oracles.promises import Begun, Promises
from tests.robustness.wire.lifecycle_calls import send, some_annotations
from tests.support.registry_v1 import RegistryV1

ALIASES = ("production", "best", "Best")
_RECENT = 20
_PINNED_SHARE = 0.3
_AT_ONCE = 2
"""How many of these acts are under way in one model.  All their orders are possible, so many would be too many."""


class Permits:
    """
    The permits of clients to do such an act in a model.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._semaphores: dict[str, threading.Semaphore] = {}

    def of(self, model_id: str) -> threading.Semaphore:
        """
        Return the semaphore to hold during an act.
        """
        with self._lock:
            return self._semaphores.setdefault(model_id, threading.Semaphore(_AT_ONCE))


@define
class VersionChoices:
    """
    Acts on versions and aliases, chosen by chance.

    Attributes:
        name: a name that distinguishes its reasons from all others'.
    """

    chance: random.Random
    name: str
    _count: int = field(default=0, init=False)

    def choose(self, state: State) -> Act | None:
        """
        Return an act on an existing model.

        Args:
            state: the state that it may be in.
        """
        acts: list[Callable[[State], Act | None]] = [*[self._move] * 5, self._remove_alias, *[self._archive] * 3]
        acts += [*[self._delete] * 2, *[self._prune] * 2, *[self._annotate] * 2, self._read_aliases]
        return self.chance.choice(acts)(state)

    def _number(self, state: State) -> int:
        recent = state.versions[-_RECENT:]
        return self.chance.choice(recent).number if recent else 0

    def _move(self, state: State) -> Act | None:
        alias, number = self.chance.choice(ALIASES), self._number(state)
        present = state.alias_number(alias)
        expected = self.chance.choice((None, None, present, present, self._number(state)))
        return MoveAlias(alias, number, self._reason(), expected) if number else None

    def _remove_alias(self, state: State) -> Act:
        alias = self.chance.choice(ALIASES)
        return MoveAlias(alias, 0, self._reason(), self.chance.choice((None, state.alias_number(alias))))

    def _reason(self) -> str:
        self._count += 1
        return f"{self.name}.{self._count}"

    def _archive(self, state: State) -> Act | None:
        transient = [version.number for version in state.versions[-_RECENT:] if not version.archived]
        return ArchiveVersion(self.chance.choice(transient)) if transient else None

    def _delete(self, state: State) -> Act | None:
        # Mostly of those that will come back, if any do; the highest now and then.
        archived = [version.number for version in state.versions if version.archived or self.chance.random() < 0.2]
        if not archived:
            return None
        return DeleteVersion(archived[-1] if self.chance.random() < 0.3 else self.chance.choice(archived))

    def _prune(self, state: State) -> Act | None:
        number = self._number(state)
        return PruneVersion(number) if number else None

    def _annotate(self, state: State) -> Act | None:
        number = self._number(state)
        is_pinned = self.chance.random() < _PINNED_SHARE
        annotations = some_annotations(self._reason(), self.chance.random(), is_pinned=is_pinned)
        return Annotate(number, annotations) if number else None

    def _read_aliases(self, state: State) -> Act | None:
        number = self._number(state)
        reads: list[Act] = [ReadAliases(), ReadHistory(), *([ReadRecord(number)] if number else [])]
        return self.chance.choice(reads)


def archived_first(promises: Promises, model_id: str, act: Act) -> Begun | None:
    """
    Begin the archiving of the version that an alias will name, if that may be transient.
    """
    if not isinstance(act, MoveAlias) or not act.number:
        return None
    versions = [state.version(act.number) for state in promises.life(model_id).states]
    if all(version is not None and version.archived for version in versions):
        return None
    return promises.begin(model_id, ArchiveVersion(act.number))


def end_act(promises: Promises, begun: Begun, first: Begun | None, reply: Reply) -> None:
    """
    Record the reply to an act.

    Args:
        first: the archiving that belongs to it.
    """
    if reply is Outcome.KEPT:
        promises.deny(begun)
        return
    number = getattr(begun.act, "number", 0)
    if reply is Outcome.NOT_FOUND and number and not isinstance(begun.act, PruneVersion):
        model_id = begun.life.model_id
        promises.acknowledge(promises.begin(model_id, EvictVersion(number)))
    if first is not None and isinstance(reply, Move):
        promises.acknowledge(first)
    elif first is not None:
        promises.lose(first)
    promises.acknowledge(begun, reply)


@define
class VersionActs:
    """
    The acts of one client.
    """

    registry: RegistryV1
    promises: Promises
    permits: Permits
    choices: VersionChoices

    def act(self, model_id: str) -> None:
        """
        Do something to a version or an alias of an existing model.

        Raises:
            grpc.RpcError: the daemon is gone, or it refused what it may not refuse.
        """
        with self.permits.of(model_id):
            act = self.choices.choose(self.promises.life(model_id).states[-1])
            if act is not None:
                self.do(model_id, act)

    def do(self, model_id: str, act: Act) -> None:
        """
        Do an act, and record it.

        Raises:
            grpc.RpcError: the daemon is gone, or it refused what it may not refuse.
        """
        first = archived_first(self.promises, model_id, act)
        begun = self.promises.begin(model_id, act)
        reply = send(self.registry, model_id, act)
        end_act(self.promises, begun, first, reply)
        if first is not None and isinstance(act, MoveAlias) and reply is Outcome.ABORTED:
            self.do(model_id, ReadRecord(act.number))  # it may have been archived for nothing
