"""
Histories: a few callers make all kinds of calls on one or two models at once, and their results are checked for an
order that explains them (``tests.robustness.oracles.linearizability``). Now and then the daemon is stopped or killed in
the middle.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import grpc
from attrs import define, evolve, field, frozen

from tests.robustness.case import Case, Outcome, Trial
from tests.robustness.oracles.acts import (
    Act,
    Aliases,
    Annotate,
    ArchiveVersion,
    CopyVersion,
    CreateVersion,
    DeleteModel,
    DeleteVersion,
    Latest,
    ListVersions,
    Move,
    MoveAlias,
    Outcome as Shown,
    PruneVersion,
    ReadAlias,
    ReadAliases,
    ReadData,
    ReadHistory,
    ReadRecord,
    Record,
    Reply,
    Restart,
    SaveModel,
    Version,
)
from tests.robustness.oracles.linearizability import FOREVER, Operation, find_fault
from tests.robustness.wire.lifecycle_calls import send as send_v1, some_annotations
from tests.robustness.wire.readings import sent_version, version_of, versions_of
from tests.robustness.wire.served import Served
from tests.support.client import Client, data_hash
from tests.support.registry_v1 import RegistryV1

_CALLERS = 5
_INTERRUPTED_SHARE = 0.1
_DELETING_SHARE = 0.5
"""Histories in which the models are deleted, and not there at first."""
_HISTORIES_A_DAEMON = 400
_HIGHEST_READ = 12
_RECENT = 4
_ALIASES = ("production", "best")
_SOURCE_ID = "source"
_SOURCES = 15
_PINNED_SHARE = 0.5
_UPDATE_SECONDS = 0.2
"""How long a subscriber of a model without versions waits for one."""
_UNKNOWN_CODES = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED})

_FLAGS = ("--version-cache-max-items", "100000", "--grace-seconds", "1")
"""Nothing is evicted: a version that vanished would be a fault."""


@frozen
class Caller:
    """
    A caller with its own connection.

    Attributes:
        name: a name that distinguishes its data from all others'.
        deletes_models: whether it deletes models, of which half do not exist then.
        seen: the number that each alias named when it was last seen, by model and alias; 0 if there was none.
        highest: the highest number that was seen, by model.
        sources: the versions that this caller alone copies.
        left: those that it has not copied yet, by model.
    """

    client: Client
    name: str
    chance: random.Random
    deletes_models: bool = True
    seen: dict[tuple[str, str], int] = field(factory=dict)
    highest: dict[str, int] = field(factory=dict)
    sources: Sequence[Version] = ()
    left: dict[str, list[Version]] = field(factory=dict)

    def call(self, model_id: str) -> list[Operation]:
        """
        Make a call.

        Returns:
            its outcome; nothing if it certainly had no effect; two operations if it archived a version and moved an
            alias.

        Raises:
            grpc.RpcError: it was refused as it may not be.
        """
        changes = [self._save, *[self._create] * 5, *([self._delete] if self.deletes_models else [])]
        changes += [*[self._move] * 3, *[self._archive] * 2, *[self._delete_version] * 2, *[self._annotate] * 2]
        changes += [*[self._prune] * 2, self._copy]
        reads = [*[self._latest] * 3, *[self._list] * 2, *[self._read] * 3, self._subscribe]
        reads += [*[self._read_alias] * 3, self._read_aliases, self._read_history, self._read_record]
        return self._made(model_id, *self.chance.choice([*changes, *reads])(model_id))

    def save(self, model_id: str) -> list[Operation]:
        """
        Create a model.
        """
        return self._made(model_id, *self._save(model_id))

    def _made(self, model_id: str, act: Act, make: Callable[[], Reply]) -> list[Operation]:
        operation = Operation(act, time.monotonic_ns())
        try:
            reply = make()
        except grpc.RpcError as error:
            return self._refused(operation, error)
        self._see(model_id, act, reply)
        return self._with_archiving(evolve(operation, answered_ns=time.monotonic_ns(), reply=reply))

    def _see(self, model_id: str, act: Act, reply: Reply) -> None:
        if isinstance(reply, Version):
            self.highest[model_id] = max(reply.number, self.highest.get(model_id, 0))
        if isinstance(act, MoveAlias) and isinstance(reply, Move | None):
            self.seen[model_id, act.alias] = act.number
        elif isinstance(act, ReadAlias):
            self.seen[model_id, act.alias] = reply.version.number if isinstance(reply, Record) else 0
        elif isinstance(reply, Aliases):
            self.seen.update({(model_id, alias): dict(reply.pairs).get(alias, 0) for alias in _ALIASES})

    def _refused(self, operation: Operation, error: Any) -> list[Operation]:
        if error.code() is grpc.StatusCode.NOT_FOUND:
            return [evolve(operation, answered_ns=time.monotonic_ns(), reply=Shown.NOT_FOUND)]
        if error.code() is grpc.StatusCode.ABORTED and isinstance(operation.act, CreateVersion):
            return []
        if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED and isinstance(operation.act, Latest):
            return []
        if error.code() in _UNKNOWN_CODES:
            return self._with_archiving(evolve(operation, answered_ns=FOREVER, reply=Shown.UNKNOWN))
        raise error

    def _with_archiving(self, operation: Operation) -> list[Operation]:
        # An alias that comes to name a transient version archives it first, which others may see.
        act = operation.act
        if not isinstance(act, MoveAlias) or not act.number:
            return [operation]
        reply = None if isinstance(operation.reply, Move) else Shown.UNKNOWN
        return [evolve(operation, act=ArchiveVersion(act.number), reply=reply), operation]

    def _v1(self, model_id: str, act: Act) -> tuple[Act, Callable[[], Reply]]:
        return act, partial(send_v1, RegistryV1(self.client.channel), model_id, act)

    def _number(self, model_id: str) -> int:
        highest = max(1, self.highest.get(model_id, 0))
        return self.chance.randint(max(1, highest - _RECENT), highest)

    def _move(self, model_id: str) -> tuple[Act, Callable[[], Reply]]:
        number = self.chance.choice((0, *[self._number(model_id)] * 4))
        reason = f"{self.name} {self.chance.random()}"
        alias = self.chance.choice(_ALIASES)
        expected = self.chance.choice((None, *[self.seen.get((model_id, alias), 0)] * 3, self._number(model_id)))
        return self._v1(model_id, MoveAlias(alias, number, reason, expected))

    def _archive(self, model_id: str) -> tuple[Act, Callable[[], Reply]]:
        return self._v1(model_id, ArchiveVersion(self._number(model_id)))

    def _delete_version(self, model_id: str) -> tuple[Act, Callable[[], Reply]]:
        return self._v1(model_id, DeleteVersion(self._number(model_id)))

    def _prune(self, model_id: str) -> tuple[Act, Callable[[], Reply]]:
        return self._v1(model_id, PruneVersion(self._number(model_id)))

    def _copy(self, model_id: str) -> tuple[Act, Callable[[], Reply]]:
        # No two versions of a model have the same data.
        left = self.left.setdefault(model_id, list(self.sources))
        if not left:
            return self._create(model_id)
        source = left.pop()
        copy = source._replace(number=0, archived=self.chance.random() < 0.4, created_ns=0)
        return self._v1(model_id, CopyVersion(copy, _SOURCE_ID, source.number))

    def _annotate(self, model_id: str) -> tuple[Act, Callable[[], Reply]]:
        is_pinned = self.chance.random() < _PINNED_SHARE
        annotations = some_annotations(f"{self.name} {self.chance.random()}", self.chance.random(), is_pinned=is_pinned)
        return self._v1(model_id, Annotate(self._number(model_id), annotations))

    def _read_alias(self, model_id: str) -> tuple[Act, Callable[[], Reply]]:
        return self._v1(model_id, ReadAlias(self.chance.choice(_ALIASES)))

    def _read_aliases(self, model_id: str) -> tuple[Act, Callable[[], Reply]]:
        return self._v1(model_id, ReadAliases())

    def _read_history(self, model_id: str) -> tuple[Act, Callable[[], Reply]]:
        return self._v1(model_id, ReadHistory())

    def _read_record(self, model_id: str) -> tuple[Act, Callable[[], Reply]]:
        return self._v1(model_id, ReadRecord(self._number(model_id)))

    def _subscribe(self, model_id: str) -> tuple[Act, Callable[[], Reply]]:
        return Latest(), partial(self._first_update, model_id)

    def _first_update(self, model_id: str) -> Reply:
        # If the model has no version, the first one that is created follows.
        stream = self.client.updates(model_id, deadline_seconds=_UPDATE_SECONDS)
        try:
            return version_of(next(stream).version_info)
        finally:
            stream.cancel()

    def _save(self, model_id: str) -> tuple[Act, Callable[[], Reply]]:
        return SaveModel(), partial(self.client.save_model, model_id)

    def _delete(self, model_id: str) -> tuple[Act, Callable[[], Reply]]:
        return DeleteModel(), partial(self.client.delete_model, model_id)

    def _create(self, model_id: str) -> tuple[Act, Callable[[], Reply]]:
        data = f"{self.name} {self.chance.random()} ".encode() * self.chance.choice((1, 10, 1000))
        archived = self.chance.random() < 0.4
        act = CreateVersion(sent_version(data, archived))
        return act, lambda: version_of(self.client.create(model_id, data, archived=archived))

    def _latest(self, model_id: str) -> tuple[Act, Callable[[], Reply]]:
        return Latest(), lambda: version_of(self.client.latest(model_id))

    def _list(self, model_id: str) -> tuple[Act, Callable[[], Reply]]:
        return ListVersions(), lambda: versions_of(self.client.infos(model_id))

    def _read(self, model_id: str) -> tuple[Act, Callable[[], Reply]]:
        number = self.chance.randint(1, _HIGHEST_READ)
        return ReadData(number), lambda: data_hash(self.client.data(model_id, number))


@define
class Recording:
    """
    Histories being recorded, one for each model.
    """

    served: Served
    chance: random.Random
    model_ids: list[str]
    sources: Sequence[Version] = ()
    histories: dict[str, list[Operation]] = field(factory=dict)
    refused: list[str] = field(factory=list)
    _lock: threading.Lock = field(factory=threading.Lock)
    _serving: threading.Event = field(factory=threading.Event)

    def record(self, clients: list[Client]) -> None:
        """
        Let callers call at once.
        """
        self._serving.set()
        seeds = [self.chance.randrange(2**32) for _ in clients]
        calls = self.chance.randint(7, 13) * len(self.model_ids)
        deletes_models = self.chance.random() < _DELETING_SHARE
        callers = [
            Caller(
                client,
                f"{self.model_ids[0]} {seed}",
                random.Random(seed),
                deletes_models,
                sources=self.sources[number :: len(clients)],
            )
            for number, (client, seed) in enumerate(zip(clients, seeds, strict=True))
        ]
        if not deletes_models:
            self._save_models(callers[0])
        with ThreadPoolExecutor(len(clients)) as pool:
            tasks = [pool.submit(self._call, caller, calls) for caller in callers]
            if self.chance.random() < _INTERRUPTED_SHARE:
                self._interrupt()
            for task in tasks:
                task.result()

    def _save_models(self, caller: Caller) -> None:
        for model_id in self.model_ids:
            for operation in caller.save(model_id):
                self._add(model_id, operation)

    def _call(self, caller: Caller, calls: int) -> None:
        for _ in range(calls):
            model_id = caller.chance.choice(self.model_ids)
            try:
                operations = caller.call(model_id)
            except grpc.RpcError as error:
                self.refused.append(f"{model_id}: a call was refused: {error}")
                return
            for operation in operations:
                self._add(model_id, operation)
            if operations and not operations[-1].is_certain:
                # Calls that are refused by the dozen would be as many that may have happened, or not.
                self._serving.wait()

    def _add(self, model_id: str, operation: Operation) -> None:
        with self._lock:
            self.histories.setdefault(model_id, []).append(operation)

    def _interrupt(self) -> None:
        time.sleep(self.chance.random() * 0.05)  # at no moment in particular
        act = Restart(is_clean=self.chance.random() < 0.5)
        self._serving.clear()
        invoked_ns = time.monotonic_ns()
        try:
            if act.is_clean:
                self.served.restart()
            else:
                self.served.crash()
        finally:
            self._serving.set()
        for model_id in self.model_ids:
            self._add(model_id, Operation(act, invoked_ns, time.monotonic_ns()))
            self._bound(model_id)

    def _bound(self, model_id: str) -> None:
        # What broke with a daemon that is dead does not happen after it.
        with self._lock:
            now_ns = time.monotonic_ns()
            self.histories[model_id] = [
                operation if operation.is_certain else evolve(operation, answered_ns=min(operation.answered_ns, now_ns))
                for operation in self.histories[model_id]
            ]


@define
class _Totals:
    histories: int = 0
    operations: int = 0
    interrupted: int = 0
    broken: int = 0
    kinds: Counter[str] = field(factory=Counter)
    wrong: list[str] = field(factory=list)

    def take(self, recording: Recording) -> None:
        self.wrong += recording.refused
        for model_id, history in recording.histories.items():
            self.histories += 1
            self.operations += len(history)
            self.interrupted += any(isinstance(one.act, Restart) for one in history)
            self.broken += sum(not one.is_certain for one in history)
            self.kinds.update(filter(None, map(_kind, history)))
            fault = find_fault(history)
            if fault is not None:
                self.wrong.append(f"{model_id}: {fault}; all of it: {sorted(history, key=lambda one: one.invoked_ns)}")


_DELETIONS: Mapping[tuple[type[Act], Shown | None], str] = {
    (DeleteVersion, None): "deleted versions",
    (DeleteVersion, Shown.PRECONDITION): "deletions refused because of an alias",
    (PruneVersion, None): "pruned versions",
    (PruneVersion, Shown.KEPT): "versions kept from pruning",
}


def _kind(operation: Operation) -> str | None:
    act, reply = operation.act, operation.reply
    if isinstance(act, MoveAlias) and reply is Shown.ABORTED:
        return "moves refused because another came first"
    if isinstance(act, MoveAlias) and isinstance(reply, Move | None):
        return "moves of aliases" if act.expected is None else "moves with an expected version"
    if isinstance(act, DeleteVersion | PruneVersion) and isinstance(reply, Shown | None):
        return _DELETIONS.get((type(act), reply))
    if isinstance(act, CopyVersion) and isinstance(reply, Version):
        return "copied versions"
    if isinstance(act, ArchiveVersion) and reply is None:
        return "later archived versions"
    return "reads by an alias" if isinstance(reply, Record) and isinstance(act, ReadAlias) else None


def _make_sources(client: Client) -> list[Version]:
    client.save_model(_SOURCE_ID)
    datas = (f"source {number}".encode() for number in range(_SOURCES))
    return [version_of(client.create(_SOURCE_ID, data, archived=True)) for data in datas]


def _serve(trial: Trial, totals: _Totals) -> None:
    chance = random.Random(f"{trial.seed} {totals.histories}")
    enough = min(trial.count, totals.histories + _HISTORIES_A_DAEMON)
    with Served(trial.directory / str(totals.histories), *_FLAGS) as served:
        served.start()
        clients = [served.connect() for _ in range(_CALLERS)]
        sources = _make_sources(clients[0])
        while totals.histories < enough and not trial.is_interrupted():
            model_ids = [f"m{totals.histories}-{index}" for index in range(chance.randint(1, 2))]
            recording = Recording(served, chance, model_ids, sources)
            recording.record(clients)
            totals.take(recording)
            trial.progress(totals.histories)
    totals.wrong += served.problems


def run(trial: Trial) -> Outcome:
    """
    Record histories, and check them.
    """
    totals = _Totals()
    while not trial.is_over(totals.histories):
        _serve(trial, totals)
    figures = {
        "operations": totals.operations,
        "histories with a stop or a kill": totals.interrupted,
        "operations of unknown outcome": totals.broken,
        **dict(sorted(totals.kinds.items())),
    }
    return Outcome(totals.histories, totals.wrong, figures)


CASE = Case(
    name="histories",
    counts="recorded histories of concurrent calls",
    promise="The results of concurrent calls can be explained by one order of the calls.",
    short=20,
    long=2000,
    run=run,
)
"""Each model's calls are a history."""
