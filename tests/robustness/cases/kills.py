"""
Eight writers, and a daemon that is killed at any moment, over and over on one archive.
"""

import random
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import grpc
from attrs import define, field

from tests.robustness.case import Case, Outcome, Trial
from tests.robustness.oracles.acts import (
    CopyVersion,
    CreateVersion,
    DeleteModel,
    Outcome as Shown,
    ReadData,
    SaveModel,
    Version,
    items,
)
from tests.robustness.oracles.aftermath import Aftermath
from tests.robustness.oracles.counts import counts_of
from tests.robustness.oracles.promises import Life, Promises, Subscriber
from tests.robustness.wire.readings import make_data, sent_version, version_of
from tests.robustness.wire.served import OWN_CONNECTION, Served
from tests.robustness.wire.turns import Turns
from tests.robustness.wire.version_acts import Permits, VersionActs, VersionChoices
from tests.support.archive_files import leftover_marks, temp_files
from tests.support.client import DEADLINE_SECONDS, Client, data_hash
from tests.support.daemon import wait_until
from tests.support.registry_v1 import RegistryV1

_WRITERS = 8
_KILLS_AN_ARCHIVE = 25
_MODEL_IDS = ["walker", "runner", "a/../b", "..", "läufer"]
_SOURCE_ID = "source"
_SOURCES = 40
"""Versions that the others are copied from."""
_SIZES_BYTES = (0, 1, 100, 5000, 5000, 20_000, 100_000)
_LARGE_SIZE_BYTES = 3_000_000
_FLAGS = ("--version-cache-max-items", "40")
_MOST_ACTS_A_LIFE = 150
_LONGEST_LIFE_SECONDS = 10
"""A life of few acts ends then, for example because all calls wait for a large version."""
_LONGEST_START_SECONDS = 0.9

_GONE = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED})


class _NoRetries(Client):
    """
    A client whose calls fail at once if the daemon is dead.
    """

    def call(
        self, name: str, request: Any, deadline_seconds: float = DEADLINE_SECONDS, wait_for_ready: bool = False
    ) -> Any:
        """See ``Client.call``."""
        return super().call(name, request, deadline_seconds, wait_for_ready)


@define
class _Writer:
    """
    A writer with its own connection, which writes until the daemon is gone.
    """

    client: Client
    promises: Promises
    turns: dict[str, Turns]
    permits: Permits
    chance: random.Random
    name: str
    sources: list[Version]
    _count: int = 0
    _versions: VersionActs = field(init=False)

    def __attrs_post_init__(self) -> None:
        choices = VersionChoices(self.chance, self.name)
        self._versions = VersionActs(RegistryV1(self.client.channel), self.promises, self.permits, choices)

    def write(self) -> None:
        """
        Run one operation after the other.
        """
        acts: list[Callable[[str], None]] = [*[self._create] * 10, self._update, self._look, self._look]
        acts += [self._copy, *[self._versions.act] * 12]
        while True:
            model_id = self.chance.choice(_MODEL_IDS)
            turns = self.turns[model_id]
            try:
                if self.chance.random() < 0.04:
                    with turns.alone():
                        self._delete(model_id)
                elif not self.promises.life(model_id).may_exist:
                    with turns.alone():
                        self._make(model_id)
                else:
                    with turns.shared():
                        self._use(model_id, self.chance.choice(acts))
            except grpc.RpcError as error:
                refused: Any = error
                if refused.code() not in _GONE:
                    self.promises.wrong.append(f"refused: {refused.code()} {refused.details()}")
                return

    def _use(self, model_id: str, act: Callable[[str], None]) -> None:
        if self.promises.life(model_id).must_exist:
            act(model_id)
        else:
            self.client.models()  # if only to notice that the daemon is gone

    def _make(self, model_id: str) -> None:
        if not self.promises.life(model_id).may_exist:
            self._save(model_id)

    def _save(self, model_id: str) -> None:
        value = self._token()
        begun = self.promises.begin(model_id, SaveModel(items({"value": value})))
        self.client.save_model(model_id, value=value)
        self.promises.acknowledge(begun)

    def _delete(self, model_id: str) -> None:
        if not self.promises.life(model_id).must_exist:
            return
        begun = self.promises.begin(model_id, DeleteModel())
        self.client.delete_model(model_id)
        self.promises.acknowledge(begun)

    def _token(self) -> str:
        self._count += 1
        return f"{self.name}.{self._count}"

    def _create(self, model_id: str) -> None:
        token = self._token()
        size_bytes = _LARGE_SIZE_BYTES if self.chance.random() < 0.01 else self.chance.choice(_SIZES_BYTES)
        data, metadata = make_data(token, size_bytes), {"by": token}
        archived = self.chance.random() < 0.5
        begun = self.promises.begin(model_id, CreateVersion(sent_version(data, archived, metadata)))
        info = self.client.create(model_id, data, archived=archived, user_data=metadata)
        self.promises.acknowledge(begun, version_of(info))

    def _copy(self, model_id: str) -> None:
        # No two of its versions have the same data and metadata, so each is copied once.
        if not self.sources:
            return self._create(model_id)
        source = self.sources.pop()
        copy = source._replace(number=0, archived=self.chance.random() < 0.5, created_ns=0)
        self._versions.do(model_id, CopyVersion(copy, _SOURCE_ID, source.number))

    def _update(self, model_id: str) -> None:
        # Each model has one writer of metadata, so that the last value is certain.
        if int(self.name.partition("-")[2]) == _MODEL_IDS.index(model_id):
            self._save(model_id)

    def _look(self, model_id: str) -> None:
        infos = self.client.infos(model_id).version_infos
        for info in infos:
            self.promises.see(model_id, version_of(info))
        archived = [info.version_number for info in infos if info.archived]
        if archived:
            with self.permits.of(model_id):
                self._read(model_id, self.chance.choice(archived))

    def _read(self, model_id: str, number: int) -> None:
        begun = self.promises.begin(model_id, ReadData(number))
        try:
            self.promises.acknowledge(begun, data_hash(self.client.data(model_id, number)))
        except grpc.RpcError as error:
            refused: Any = error
            if refused.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            self.promises.acknowledge(begun, Shown.NOT_FOUND)  # another client has deleted it


def _subscribe(client: Client, promises: Promises, model_id: str) -> None:
    """
    Record all versions that are pushed, until the daemon is gone.
    """
    subscriber = Subscriber(promises, model_id)
    try:
        for reply in client.updates(model_id):
            subscriber.receive(version_of(reply.version_info))
    except grpc.RpcError as error:
        refused: Any = error
        if refused.code() not in {*_GONE, grpc.StatusCode.NOT_FOUND}:
            promises.wrong.append(f"a subscriber of {model_id!r} was refused: {refused.code()} {refused.details()}")


@define
class _Story:
    """
    One archive, and the daemons that die on it.
    """

    served: Served
    chance: random.Random
    promises: Promises = field(factory=Promises)
    kills: int = 0
    _turns: dict[str, Turns] = field(factory=lambda: {model_id: Turns() for model_id in _MODEL_IDS})
    _permits: Permits = field(factory=Permits)
    _read: dict[Life, set[int]] = field(factory=dict)
    _clients: list[Client] = field(factory=list)
    _sources: list[Version] = field(factory=list)

    def tell(self, most_kills: int, progress: Callable[[int], None]) -> None:
        """
        Live it to its end.
        """
        self.served.start()
        self._make_sources()
        while self.kills < most_kills:
            self._write_and_kill()
            self._begin_again(most_kills)
            self._check(whole=self.kills >= most_kills)
            progress(self.kills)
        self.served.restart()
        self.promises.restart(is_clean=True)
        self._check(whole=True)
        wait_until(lambda: not temp_files(self.served.archive), "all that was deleted is removed")
        wait_until(lambda: not leftover_marks(self.served.archive), "all of deleted versions is removed")

    def _make_sources(self) -> None:
        client = self._connect()
        begun = self.promises.begin(_SOURCE_ID, SaveModel())
        client.save_model(_SOURCE_ID)
        self.promises.acknowledge(begun)
        for number in range(_SOURCES):
            token = f"source.{number}"
            data, metadata = make_data(token, self.chance.choice(_SIZES_BYTES)), {"by": token}
            begun = self.promises.begin(_SOURCE_ID, CreateVersion(sent_version(data, True, metadata)))
            self._sources.append(version_of(client.create(_SOURCE_ID, data, archived=True, user_data=metadata)))
            self.promises.acknowledge(begun, self._sources[-1])

    def _write_and_kill(self) -> None:
        seeds = [self.chance.randrange(2**32) for _ in range(_WRITERS)]
        with ThreadPoolExecutor(_WRITERS + 1) as pool:
            tasks = [pool.submit(self._subscribe, self.chance.choice(_MODEL_IDS))]
            tasks += [pool.submit(self._writer(index, seed).write) for index, seed in enumerate(seeds)]
            self._wait_for_acts(self.chance.choice((0, self.chance.randint(1, _MOST_ACTS_A_LIFE))))
            time.sleep(self.chance.random() * 0.02)  # any moment
            self.served.kill()
            for task in tasks:
                task.result()
        self.promises.restart()
        self.kills += 1
        while self._clients:
            self._clients.pop().close()

    def _wait_for_acts(self, count: int) -> None:
        # Counted, not timed: a busy machine does no less before a kill.
        enough = self.promises.acts.total() + count
        end = time.monotonic() + _LONGEST_LIFE_SECONDS
        while self.promises.acts.total() < enough and time.monotonic() < end:
            time.sleep(0.002)

    def _connect(self) -> Client:
        client = _NoRetries(self.served.address, **OWN_CONNECTION)
        self._clients.append(client)
        return client

    def _writer(self, index: int, seed: int) -> _Writer:
        name = f"{self.kills}-{index}"
        chance = random.Random(seed)
        return _Writer(self._connect(), self.promises, self._turns, self._permits, chance, name, self._sources)

    def _subscribe(self, model_id: str) -> None:
        _subscribe(self._connect(), self.promises, model_id)

    def _begin_again(self, most_kills: int) -> None:
        while self.kills < most_kills and self.chance.random() < 0.15:
            self.served.launch()
            time.sleep(self.chance.random() * _LONGEST_START_SECONDS)  # any moment of its start
            self.served.kill()
            self.kills += 1
        self.served.start()

    def _check(self, whole: bool) -> None:
        client = Client(self.served.address, **OWN_CONNECTION)
        try:
            aftermath = Aftermath(self.promises, client, self.served.archive, self.chance, whole, self._read)
            aftermath.check()
            # Deleted models are removed in the background, longer than most of these daemons live.
            left = [path for path in temp_files(self.served.archive) if "trash" not in path.parts]
            if left:
                self.promises.wrong.append(f"left behind: {left}")
            aftermath.probe()
        finally:
            client.close()


@define
class _Totals:
    kills: int = 0
    archives: int = 0
    acknowledged: int = 0
    numbers: int = 0
    acts: Counter[str] = field(factory=Counter)
    wrong: list[str] = field(factory=list)

    def take(self, story: _Story) -> None:
        self.kills += story.kills
        self.archives += 1
        self.acknowledged += story.promises.acknowledged
        self.numbers += story.promises.numbers
        self.acts += story.promises.acts
        self.wrong += [f"archive {self.archives}: {line}" for line in (*story.promises.wrong, *story.served.problems)]


def _tell(trial: Trial, before: int, kills: int) -> None:
    trial.progress(before + kills)


def run(trial: Trial) -> Outcome:
    """
    Kill it again and again.
    """
    totals = _Totals()
    while not trial.is_over(totals.kills):
        chance = random.Random(f"{trial.seed} {totals.archives}")
        most = min(_KILLS_AN_ARCHIVE, trial.count - totals.kills)
        with Served(trial.directory / str(totals.archives), *_FLAGS) as served:
            story = _Story(served, chance)
            story.tell(most, partial(_tell, trial, totals.kills))
        totals.take(story)
    figures = {
        "acknowledged versions": totals.acknowledged,
        "numbers kept account of": totals.numbers,
        "archives": totals.archives,
        **counts_of(totals.acts),
    }
    return Outcome(totals.kills, totals.wrong, figures)


CASE = Case(
    name="kills",
    counts="SIGKILLs under 8 writers",
    promise="What was acknowledged outlives any kill, what was not is whole or absent, and no number comes twice; "
    "each alias names an archived version, and its history has each move once.",
    short=4,
    long=1000,
    run=run,
)
