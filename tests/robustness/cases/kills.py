"""
Eight writers, and a daemon that is killed at any moment, over and over on one archive.
"""

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import grpc
from attrs import define, field

from tests.robustness.case import Case, Outcome, Trial
from tests.robustness.oracles.aftermath import Aftermath
from tests.robustness.oracles.ledger import Ledger, Life, Presence, make_data
from tests.robustness.wire.served import OWN_CONNECTION, Served
from tests.support.archive_files import temp_files
from tests.support.client import DEADLINE_SECONDS, Client

_WRITERS = 8
_KILLS_AN_ARCHIVE = 25
_MODEL_IDS = ["walker", "runner", "a/../b", "..", "läufer"]
_SIZES_BYTES = (0, 1, 100, 5000, 5000, 20_000, 100_000)
_LARGE_SIZE_BYTES = 3_000_000
_FLAGS = ("--version-cache-max-items", "40")
_LONGEST_LIFE_SECONDS = 0.5
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
    ledger: Ledger
    chance: random.Random
    name: str
    _count: int = 0

    def write(self) -> None:
        """
        Run one operation after the other.
        """
        acts: list[Callable[[Life], None]] = [*[self._create] * 12, self._update, self._look, self._look]
        while True:
            model_id = self.chance.choice(_MODEL_IDS)
            turns = self.ledger.turns[model_id]
            try:
                if self.chance.random() < 0.04:
                    with turns.alone():
                        self._delete(self.ledger.life(model_id))
                elif self.ledger.life(model_id).presence is Presence.ABSENT:
                    with turns.alone():
                        self._make(self.ledger.life(model_id))
                else:
                    with turns.shared():
                        self._use(self.ledger.life(model_id), self.chance.choice(acts))
            except grpc.RpcError as error:
                refused: Any = error
                if refused.code() not in _GONE:
                    self.ledger.wrong.append(f"refused: {refused.code()} {refused.details()}")
                return

    def _use(self, life: Life, act: Callable[[Life], None]) -> None:
        if life.presence is Presence.PRESENT:
            act(life)
        else:
            self.client.models()  # if only to notice that the daemon is gone

    def _make(self, life: Life) -> None:
        if life.presence is not Presence.ABSENT:
            return
        value = self._token(life)
        life.presence = Presence.IN_DOUBT
        life.user_data = {value}
        self.client.save_model(life.model_id, value=value)
        life.presence = Presence.PRESENT

    def _delete(self, life: Life) -> None:
        if life.presence is not Presence.PRESENT:
            return
        life.presence = Presence.IN_DOUBT
        self.client.delete_model(life.model_id)
        life.presence = Presence.ABSENT
        self.ledger.renew(life.model_id)

    def _token(self, life: Life) -> str:
        self._count += 1
        return f"{life.number}.{self.name}.{self._count}"

    def _create(self, life: Life) -> None:
        token = self._token(life)
        size_bytes = _LARGE_SIZE_BYTES if self.chance.random() < 0.01 else self.chance.choice(_SIZES_BYTES)
        data = make_data(token, size_bytes)
        archived = self.chance.random() < 0.5
        self.ledger.begin(life, token, data, archived)
        info = self.client.create(life.model_id, data, archived=archived, user_data={"by": token})
        self.ledger.acknowledge(info)

    def _update(self, life: Life) -> None:
        # Each model has one writer of metadata, so that the last value is certain.
        if int(self.name.partition("-")[2]) != _MODEL_IDS.index(life.model_id):
            return
        value = self._token(life)
        life.user_data = {*life.user_data, value}
        self.client.save_model(life.model_id, value=value)
        life.user_data = {value}

    def _look(self, life: Life) -> None:
        infos = self.client.infos(life.model_id).version_infos
        for info in infos:
            self.ledger.see(info)
        archived = [info for info in infos if info.archived]
        if archived:
            info = self.chance.choice(archived)
            self.ledger.check_data(life, info.version_number, self.client.data(life.model_id, info.version_number))


def _subscribe(client: Client, ledger: Ledger, model_id: str) -> None:
    """
    Take note of all numbers that are pushed, until the daemon is gone.
    """
    try:
        last = 0
        for reply in client.updates(model_id):
            number = reply.version_info.version_number
            ledger.see(reply.version_info)
            if number <= last:
                ledger.wrong.append(f"a subscriber of {model_id!r} received {number} after {last}")
            last = number
    except grpc.RpcError as error:
        refused: Any = error
        if refused.code() not in {*_GONE, grpc.StatusCode.NOT_FOUND}:
            ledger.wrong.append(f"a subscriber of {model_id!r} was refused: {refused.code()} {refused.details()}")


@define
class _Story:
    """
    One archive, and the daemons that die on it.
    """

    served: Served
    chance: random.Random
    ledger: Ledger = field(factory=lambda: Ledger(_MODEL_IDS))
    kills: int = 0
    _clients: list[Client] = field(factory=list)

    def tell(self, most_kills: int, progress: Callable[[int], None]) -> None:
        """
        Live it to its end.
        """
        self.served.start()
        while self.kills < most_kills:
            self._write_and_kill()
            self._begin_again(most_kills)
            self._check(whole=self.kills >= most_kills, exact=False)
            progress(self.kills)
        self.served.restart()
        self._check(whole=True, exact=True)

    def _write_and_kill(self) -> None:
        seeds = [self.chance.randrange(2**32) for _ in range(_WRITERS)]
        with ThreadPoolExecutor(_WRITERS + 1) as pool:
            tasks = [pool.submit(self._subscribe, self.chance.choice(_MODEL_IDS))]
            tasks += [pool.submit(self._writer(index, seed).write) for index, seed in enumerate(seeds)]
            time.sleep(self.chance.random() * self.chance.choice((0.1, _LONGEST_LIFE_SECONDS)))  # any moment
            self.served.kill()
            for task in tasks:
                task.result()
        self.kills += 1
        while self._clients:
            self._clients.pop().close()

    def _connect(self) -> Client:
        client = _NoRetries(self.served.address, **OWN_CONNECTION)
        self._clients.append(client)
        return client

    def _writer(self, index: int, seed: int) -> _Writer:
        name = f"{self.kills}-{index}"
        return _Writer(self._connect(), self.ledger, random.Random(seed), name)

    def _subscribe(self, model_id: str) -> None:
        _subscribe(self._connect(), self.ledger, model_id)

    def _begin_again(self, most_kills: int) -> None:
        while self.kills < most_kills and self.chance.random() < 0.15:
            self.served.launch()
            time.sleep(self.chance.random() * _LONGEST_START_SECONDS)  # any moment of its start
            self.served.kill()
            self.kills += 1
        self.served.start()

    def _check(self, whole: bool, exact: bool) -> None:
        client = Client(self.served.address, **OWN_CONNECTION)
        try:
            aftermath = Aftermath(self.ledger, client, self.served.archive, self.chance, whole)
            aftermath.check()
            left = temp_files(self.served.archive)
            if left:
                self.ledger.wrong.append(f"left behind: {left}")
            aftermath.probe(exact)
        finally:
            client.close()


@define
class _Totals:
    kills: int = 0
    archives: int = 0
    acknowledged: int = 0
    numbers: int = 0
    wrong: list[str] = field(factory=list)

    def take(self, story: _Story) -> None:
        self.kills += story.kills
        self.archives += 1
        self.acknowledged += story.ledger.acknowledged
        self.numbers += story.ledger.numbers
        self.wrong += [f"archive {self.archives}: {line}" for line in (*story.ledger.wrong, *story.served.problems)]


def _tell(trial: Trial, before: int, kills: int) -> None:
    trial.progress(before + kills)


def run(trial: Trial) -> Outcome:
    """
    Kill it again and again.
    """
    totals = _Totals()
    while totals.kills < trial.count:
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
    }
    return Outcome(totals.kills, totals.wrong, figures)


CASE = Case(
    name="kills",
    counts="SIGKILLs under 8 writers",
    promise="What was acknowledged outlives any kill, what was not is whole or absent, and no number comes twice.",
    short=4,
    long=1000,
    run=run,
)
