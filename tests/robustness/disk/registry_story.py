"""
The life of a registry on one archive, with several acts under way at once, killed at any call to the system.

Nothing of it runs by itself: which of the waiting jobs comes next is chosen by chance.  So thousands of kills take
minutes, and each can be repeated from its seed.
"""

import errno
import random
import shutil
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from tests.robustness.disk.contents import check_archive, check_leftovers, move_of, version_of
from tests.robustness.disk.lossy_system import LossySystem, PowerCut, UnsyncedSystem
from tests.robustness.oracles.acts import (
    Act,
    Annotate,
    ArchiveVersion,
    CreateVersion,
    DeleteModel,
    DeleteVersion,
    MoveAlias,
    Outcome,
    PruneVersion,
    Reply,
    SaveModel,
)
from tests.robustness.oracles.promises import Begun, Promises
from tests.robustness.wire.lifecycle_calls import labels_and_metrics
from tests.robustness.wire.readings import sent_version
from tests.robustness.wire.version_acts import VersionChoices, archived_first, end_act
from tests.support.faulty_system import Disturbance, Killed
from tests.support.threads import PumpedPool, PumpedReactor, pump_all
from twisted_registry.contracts.retention import IPruning
from twisted_registry.contracts.transient import TransientBudget
from twisted_registry.coordination.local import LocalCoordination
from twisted_registry.domain.aliases import AliasChange, AliasMove
from twisted_registry.domain.annotations import AnnotationUpdate
from twisted_registry.domain.errors import (
    AliasedVersion,
    AliasMoved,
    RegistryError,
    StorageFailure,
    StorageFull,
    StorageReadOnly,
    UnknownAlias,
    UnknownVersion,
)
from twisted_registry.domain.models import Chunk, ModelInfo, VersionHeader, VersionInfo
from twisted_registry.domain.retention import PrunedModel, PruneRequest, RetentionPolicy, RetentionScope
from twisted_registry.domain.snapshot import ModelSnapshot
from twisted_registry.execution import executor_for
from twisted_registry.registry import Framing, Registry
from twisted_registry.rpc.services.cogment.codec import Chunker, frame
from twisted_registry.storage.filesystem.archive import FilesystemArchive
from twisted_registry.storage.memory import MemoryStore

_MODEL_ID = "m"
_AT_ONCE = 3
_MOST_CALLS = 600
_CHUNK_BYTES = 1000
_BUDGET = TransientBudget(max_items=8, max_bytes=100_000)
_FAILURES = (StorageFull, StorageReadOnly, StorageFailure)
_REFUSALS: dict[type[BaseException], Outcome] = {
    UnknownVersion: Outcome.NOT_FOUND,
    UnknownAlias: Outcome.NOT_FOUND,
    AliasMoved: Outcome.ABORTED,
    AliasedVersion: Outcome.PRECONDITION,
}


@define(eq=False)
class _Process:
    """
    A registry in a process that dies at some call to the system.
    """

    root: str
    system: LossySystem
    promises: Promises
    chance: random.Random
    choices: VersionChoices
    disturbance: Disturbance | None = None
    refused: int = 0
    under_way: int = 0
    _is_over: bool = False
    archive: FilesystemArchive = field(init=False)
    registry: Registry = field(init=False)
    _reactor: PumpedReactor = field(factory=PumpedReactor)
    _disk: PumpedPool = field(factory=PumpedPool)
    _processor: PumpedPool = field(factory=PumpedPool)

    def live(self) -> None:
        """
        Work until death.

        Raises:
            Killed, PowerCut: the end.
        """
        self._open()
        check_archive(self.archive, self.promises)
        assert self.system.end is not None
        calls, end = self.system.end
        # From now on, death looks like a disk that fails for good, so that what is under way ends in an orderly way.
        self.system.end = calls, OSError(errno.EIO, "the process is dead")
        self.system.disturbance = self.disturbance
        try:
            while not self.system.is_dead:
                if (self.under_way < _AT_ONCE and self.chance.random() < 0.3) or not self._step():
                    self._start()
        except RegistryError:
            if not self.system.is_dead:
                raise
        finally:
            self._is_over = True
            self.system.disturbance = None
            pump_all(self._reactor, self._disk, self._processor)
            with suppress(RegistryError, OSError):
                self.archive.close()
        raise end

    def _open(self) -> None:
        self.archive = FilesystemArchive(self.root, self.system)
        executor = executor_for(self.archive, self._reactor, self._disk, self._processor)
        store, clock = MemoryStore(_BUDGET), Clock()
        clock.advance(1)
        self.registry = Registry(
            self._reactor,
            self.archive,
            executor,
            store,
            executor_for(store, self._reactor, self._disk, self._processor),
            Framing(_CHUNK_BYTES, frame, partial(Chunker, _CHUNK_BYTES)),
            LocalCoordination(self.archive, executor),
            now_ns=lambda: int(clock.seconds() * 10**9),
            seconds=clock.seconds,
        )
        self.registry.open()

    # What runs

    def _step(self) -> bool:
        waiting = [one for one in (self._reactor, self._disk, self._processor) if len(one)]
        if not waiting:
            return False
        chosen = self.chance.choice(waiting)
        if isinstance(chosen, PumpedReactor):
            chosen.pump_last() if self.chance.random() < 0.2 else chosen.pump()
        else:
            chosen.pump(1)
        return True

    def _wait(self, deferred: "Deferred[Any]") -> Any:
        results: list[Any] = []
        deferred.addBoth(results.append)
        while not results:
            assert self._step(), "it waits for nothing"
        if isinstance(results[0], Failure):
            results[0].raiseException()
        return results[0]

    def _snapshot(self) -> ModelSnapshot:
        known = self.registry.snapshot(_MODEL_ID)
        return known if known is not None else self._wait(self.registry.load_snapshot(_MODEL_ID))

    # What it does

    def _start(self) -> None:
        try:
            self._start_some()
        except _FAILURES:
            if self.disturbance is None or self.system.is_dead:
                raise
            self.refused += 1

    def _start_some(self) -> None:
        life = self.promises.life(_MODEL_ID)
        if not life.must_exist:
            self._alone(SaveModel(), lambda: self.registry.save_model(ModelInfo(_MODEL_ID)))
        elif self.chance.random() < 0.01:
            self._alone(DeleteModel(), lambda: self.registry.delete_model(_MODEL_ID))
        elif self.chance.random() < 0.4:
            self._create()
        else:
            act = self.choices.choose(life.states[-1])
            if isinstance(act, MoveAlias | ArchiveVersion | DeleteVersion | PruneVersion | Annotate):
                snapshot = self._snapshot()
                first = archived_first(self.promises, _MODEL_ID, act)
                begun = self.promises.begin(_MODEL_ID, act)
                self._follow(self._sent(snapshot, act), begun, first)

    def _alone(self, act: Act, send: Any) -> None:
        while self.under_way:
            assert self._step(), "an act never ends"
        begun = self.promises.begin(_MODEL_ID, act)
        try:
            self._wait(send())
        except _FAILURES:
            self.promises.lose(begun)
            raise
        if not self.system.is_dead:
            self.promises.acknowledge(begun)

    def _create(self) -> None:
        data = self.chance.randbytes(self.chance.choice((0, 10, 3000)))
        archived, metadata = self.chance.random() < 0.5, {"n": str(self.chance.random())}
        header = VersionHeader(_MODEL_ID, archived, len(data), metadata=metadata)
        upload = self.registry.upload(header, self._snapshot())
        done = [upload.write(Chunk(data[at : at + _CHUNK_BYTES])) for at in range(0, len(data), _CHUNK_BYTES)]
        done.append(upload.finish())
        while not all(future.done() for future in done):
            assert self._step(), "an upload never ends"
        for future in done:
            future.result()
        begun = self.promises.begin(_MODEL_ID, CreateVersion(sent_version(data, archived, metadata)))
        self._follow(upload.commit(), begun, None)

    def _sent(self, snapshot: ModelSnapshot, act: Act) -> "Deferred[Any]":
        if isinstance(act, MoveAlias):
            change = AliasChange(act.alias, act.number, act.expected, "", act.reason)
            return self.registry.move_alias(snapshot, change)
        if isinstance(act, ArchiveVersion):
            return self.registry.archive_version(snapshot, act.number)
        if isinstance(act, DeleteVersion):
            return self.registry.delete_version(snapshot, act.number)
        if isinstance(act, PruneVersion):
            return Deferred.fromCoroutine(self._prune(act.number))
        assert isinstance(act, Annotate)
        labels, metrics = labels_and_metrics(act.annotations)
        return self.registry.annotate_version(snapshot, act.number, AnnotationUpdate(labels, metrics))

    async def _prune(self, number: int) -> Outcome | None:
        only = {_MODEL_ID: {number}}
        request = PruneRequest(RetentionScope(_MODEL_ID), RetentionPolicy(keep_last=1), only=only)
        pruning: IPruning = await self.registry.retention.prune(request)
        reply: Outcome | None = Outcome.KEPT
        while (step := await pruning.next()) is not None:
            if isinstance(step, PrunedModel) and step.plan.numbers:
                reply = None
        return reply

    def _follow(self, deferred: "Deferred[Any]", begun: Begun, first: Begun | None) -> None:
        self.under_way += 1
        deferred.addBoth(self._ended, begun, first)

    def _ended(self, result: Any, begun: Begun, first: Begun | None) -> None:
        self.under_way -= 1
        if self._is_over or self.system.is_dead:
            return
        if isinstance(result, Failure):
            reply: Reply = next((one for kind, one in _REFUSALS.items() if result.check(kind)), Outcome.UNKNOWN)
            if reply is Outcome.UNKNOWN:
                self._failed(result, begun, first)
                return
        else:
            reply = _reply(result)
        end_act(self.promises, begun, first, reply)

    def _failed(self, failure: Failure, begun: Begun, first: Begun | None) -> None:
        if self.disturbance is None or not failure.check(*_FAILURES):
            self.promises.complain(_MODEL_ID, f"{begun.act} ended with {failure.getTraceback()}")
        self.refused += 1
        if first is not None:
            self.promises.lose(first, is_late=True)
        if failure.check(StorageFull, StorageReadOnly):
            self.promises.deny(begun)
        else:
            self.promises.lose(begun, is_late=True)


def _reply(result: Any) -> Reply:
    if isinstance(result, VersionInfo):
        return version_of(result)
    if isinstance(result, Outcome):
        return result
    return move_of(result) if isinstance(result, AliasMove) else None


@define
class RegistryStory:
    """
    One archive, and the registries that die on it.

    Attributes:
        directory: for what is left after each power cut.
        disturbance: what comes between calls, besides.
        skipped_syncs: see ``LossySystem``.
        skipped_after: see ``LossySystem``.
        kills: how many times the process alone was killed.
        cuts: how many times the power was cut.
        refused: how many acts ended with an error of the disk.
    """

    chance: random.Random
    directory: Path
    disturbance: Disturbance | None = None
    skipped_syncs: str | None = None
    skipped_after: str = ".*"
    kills: int = 0
    cuts: int = 0
    refused: int = 0
    promises: Promises = field(factory=Promises)

    @property
    def _root(self) -> Path:
        return self.directory / str(self.cuts)

    def tell(self, most_kills: int) -> None:
        """
        Live it to its end.
        """
        self._root.mkdir(parents=True)
        choices = VersionChoices(self.chance, "r")
        while self.kills < most_kills:
            system = LossySystem(str(self._root), has_rename_noreplace=self.chance.random() < 0.7)
            system.skipped_syncs, system.skipped_after = self.skipped_syncs, self.skipped_after
            with suppress(PowerCut):
                for end in self._ends(most_kills):
                    system.end_after(self.chance.randint(0, _MOST_CALLS), end)
                    process = _Process(str(self._root), system, self.promises, self.chance, choices, self.disturbance)
                    with suppress(Killed):
                        process.live()
                    self.refused += process.refused
                    system.restart_process()
                    self._look()
            self.cuts += 1
            system.cut(self.chance, str(self._root))
            self._look()
        shutil.rmtree(self.directory)

    def _ends(self, most_kills: int) -> Iterator[BaseException]:
        while self.kills < most_kills and self.chance.random() < 0.9:
            self.kills += 1
            yield Killed("killed")
        yield PowerCut("the power fails")

    def _look(self) -> None:
        if self.chance.random() < 0.3:
            copy = self.directory / "look"
            shutil.copytree(self._root, copy)
            archive = FilesystemArchive(str(copy), UnsyncedSystem())
            archive.open()
            check_archive(archive, self.promises.copy())
            self.promises.wrong += check_leftovers(archive, copy)
            archive.close()
            shutil.rmtree(copy)
