"""
A daemon that is killed while it delivers events to a webhook.
"""

import random
import threading
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from attrs import define, field

from tests.robustness.case import Case, Outcome, Trial
from tests.support.daemon import TIMEOUT_SECONDS, Daemon
from tests.support.webhook_receiver import Received, WebhookReceiver, new_secret, write_secret
from twisted_registry.client import BlockingClient
from twisted_registry.client.errors import RegistryError

_MODELS = ("m", "n")
_LEAST_SECONDS, _MOST_SECONDS = 0.1, 1.2
_REFUSED = 0.02
"""How often the receiver refuses a webhook that it has not seen before."""

Fact = tuple[str, str, int]
"""Something that is durable: a kind, a model, and a number or a sequence."""


def _fact(received: Received) -> Fact | None:
    data: dict[str, Any] = received.event["data"]
    model_id = data["modelId"]
    for key, kind in (("versionCreated", "created"), ("versionDeleted", "deleted")):
        if key in data:
            return kind, model_id, int(data[key]["number"])
    if "aliasMoved" in data:
        return "moved", model_id, int(data["aliasMoved"]["sequence"])
    return None


@define
class _Story:
    """
    The changes that were acknowledged, and the webhooks that were received.
    """

    chance: random.Random
    directory: Path
    secret: str = field(factory=new_secret)
    acknowledged: set[Fact] = field(factory=set)
    deletions: set[tuple[str, int]] = field(factory=set)
    wrong: list[str] = field(factory=list)
    refused: set[str] = field(factory=set)
    receiver: WebhookReceiver = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.receiver = WebhookReceiver(self._answer)
        write_secret(self.directory / "secret", self.secret)
        (self.directory / "deliveries.toml").write_text(
            f'[[webhooks]]\nname = "receiver"\nurl = "http://127.0.0.1:{self.receiver.port}/"\nsecret_file = "secret"\n'
            'private_networks = "127.0.0.1"\n'
        )

    def _answer(self, received: Received) -> tuple[int, dict[str, str]]:
        try:
            received.verify(self.secret)
        except Exception as error:
            self.wrong.append(f"{received.message_id} has a wrong signature: {error}")
        if received.message_id not in self.refused and self.chance.random() < _REFUSED:
            self.refused.add(received.message_id)
            return 500, {}
        return 204, {}

    def start(self) -> Daemon:
        """
        Start a daemon.
        """
        flags = ["--deliveries-file", "deliveries.toml", "--deliveries-journal", "journal"]
        return Daemon(self.directory, flags, is_forked=True).start()

    def work(self, address: str) -> None:
        """
        Make changes until the daemon is killed.
        """
        chance = random.Random(self.chance.random())
        try:
            with BlockingClient(address, retry_seconds=0) as client:
                for model_id in _MODELS:
                    client.ensure_model(model_id)
                while True:
                    self._change(client, chance)
        except (RegistryError, TimeoutError):
            return

    def _change(self, client: BlockingClient, chance: random.Random) -> None:
        model_id = chance.choice(_MODELS)
        number = client.store(model_id, b"data").version_number
        self.acknowledged.add(("created", model_id, number))
        if chance.random() < 0.5:
            move = client.set_alias(f"{model_id}@{number}", chance.choice("abc"))
            self.acknowledged.add(("moved", model_id, move.sequence))
        elif chance.random() < 0.2:
            self.deletions.add((model_id, number))
            client.delete_version(f"{model_id}@{number}")
            self.acknowledged.add(("deleted", model_id, number))

    def missing(self) -> set[Fact]:
        """
        Return what was acknowledged and has not arrived.
        """
        received = list(self.receiver.received)
        arrived = {_fact(each) for each in received if each.message_id not in self.refused or self._is_repeated(each)}
        return {fact for fact in self.acknowledged - arrived if self._is_promised(fact, arrived)}

    def _is_promised(self, fact: Fact, arrived: Collection[Fact | None]) -> bool:
        # A version that is deleted before the record of its creation leaves nothing that could be found.
        kind, *version = fact
        if kind == "created":
            return tuple(version) not in self.deletions
        return kind == "moved" or ("created", *version) in arrived

    def _is_repeated(self, received: Received) -> bool:
        return sum(each.message_id == received.message_id for each in list(self.receiver.received)) > 1

    def check(self) -> None:
        """
        Wait until everything has arrived, and check that repetitions have the same id.
        """
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while (missing := self.missing()) and time.monotonic() < deadline:
            time.sleep(0.05)
        self.wrong += [f"{fact} was acknowledged, and has not arrived" for fact in sorted(missing)]
        ids: dict[Fact, set[str]] = {}
        for each in self.receiver.received:
            fact = _fact(each)
            if fact is not None:
                ids.setdefault(fact, set()).add(each.message_id)
        self.wrong += [f"{fact} has arrived with the ids {found}" for fact, found in ids.items() if len(found) > 1]


def run(trial: Trial) -> Outcome:
    """
    Kill the daemon again and again.
    """
    story = _Story(random.Random(trial.seed), trial.directory)
    done = 0
    daemon = story.start()
    try:
        while not trial.is_over(done) and not story.wrong:
            worker = threading.Thread(target=story.work, args=(daemon.address,))
            worker.start()
            time.sleep(story.chance.uniform(_LEAST_SECONDS, _MOST_SECONDS))
            daemon.kill()
            worker.join()
            done += 1
            trial.progress(done)
            daemon = story.start()
        story.check()
    finally:
        daemon.kill()
        story.receiver.close()
    return Outcome(
        done,
        story.wrong,
        {"acknowledged changes": len(story.acknowledged), "webhooks received": len(story.receiver.received)},
    )


CASE = Case(
    name="deliveries",
    counts="SIGKILLs while webhooks are sent",
    promise="Each acknowledged archived version and move of an alias arrives at a webhook, always with the same id.",
    short=5,
    long=100,
    run=run,
)
