"""
The expected state of a daemon that is back, and of its archive, from a ledger.
"""

import random
from pathlib import Path
from typing import Any

import grpc
import yaml
from attrs import frozen

from tests.robustness.oracles.ledger import Ledger, Life, Presence, hash_of, make_data
from tests.support.client import Client
from twisted_registry.storage.filesystem.layout import ModelFolder, model_folder

_SAMPLE = 3


def _found(client: Client, model_id: str) -> Any | None:
    try:
        (info,) = client.models(model_id).model_infos
    except grpc.RpcError as error:
        refused: Any = error
        if refused.code() is grpc.StatusCode.NOT_FOUND:
            return None
        raise
    return info


@frozen
class Aftermath:
    """
    Checks models over the wire and on disk, while nobody else uses them.

    Attributes:
        whole: whether to read all versions, not only new ones and a few others.
    """

    ledger: Ledger
    client: Client
    archive: Path
    chance: random.Random
    whole: bool = False

    def check(self) -> None:
        """
        Check all models; what is found of what was in doubt is so from now on.
        """
        for life in self.ledger.lives():
            self._check_model(life)
        there = sorted(life.model_id for life in self.ledger.lives() if life.presence is Presence.PRESENT)
        listed = [info.model_id for info in self.client.models().model_infos]
        if listed != there:
            self.ledger.wrong.append(f"models {listed} are listed, and {there} are there")

    def probe(self, exact: bool) -> None:
        """
        Create a version of each model that is there: its number must be above all that were given.

        Args:
            exact: whether it must be the very next one.
        """
        for life in self.ledger.lives():
            if life.presence is Presence.PRESENT:
                self._probe(life, exact)

    def _probe(self, life: Life, exact: bool) -> None:
        token = f"{life.number}.probe.{len(life.sent)}"
        data = make_data(token, 100)
        archived = self.chance.random() < 0.5
        before = life.highest
        self.ledger.begin(life, token, data, archived)
        info = self.client.create(life.model_id, data, archived=archived, user_data={"by": token})
        self.ledger.acknowledge(info)
        if info.version_number <= before or (exact and info.version_number != before + 1):
            self.ledger.complain(life, f"after number {before} comes {info.version_number}")

    def _check_model(self, life: Life) -> None:
        info = _found(self.client, life.model_id)
        if info is None:
            self._check_gone(life)
            return
        if life.presence is Presence.ABSENT:
            self.ledger.complain(life, "it is back")
        life.presence = Presence.PRESENT
        reported = info.user_data.get("value", "")
        if reported not in life.user_data:
            self.ledger.complain(life, f"its metadata is {reported!r} and should be one of {life.user_data}")
        life.user_data = {reported}
        self._check_versions(life)

    def _check_gone(self, life: Life) -> None:
        if life.presence is Presence.PRESENT:
            self.ledger.complain(life, "it is gone")
        if Path(model_folder(str(self.archive), life.model_id).path).exists():
            self.ledger.complain(life, "its folder is still there")
        if life.presence is not Presence.ABSENT:
            self.ledger.renew(life.model_id)

    def _check_versions(self, life: Life) -> None:
        infos = self.client.infos(life.model_id).version_infos
        listed = [info.version_number for info in infos]
        for info in infos:
            self.ledger.see(info)
            if not info.archived:
                self.ledger.complain(life, f"transient version {info.version_number} is there after a restart")
        if listed != sorted(set(listed)):
            self.ledger.complain(life, f"the list is not in order: {listed}")
        lost = life.archived - set(listed)
        if lost:
            self.ledger.complain(life, f"versions {sorted(lost)} are lost")
        if listed and self.client.latest(life.model_id) != infos[-1]:
            self.ledger.complain(life, "the latest is not the last listed")
        self._check_files(life, set(listed))
        life.archived.intersection_update(listed)
        self._read(life)

    def _read(self, life: Life) -> None:
        old = sorted(life.archived - life.unread)
        chosen = old if self.whole else self.chance.sample(old, min(_SAMPLE, len(old)))
        folder = model_folder(str(self.archive), life.model_id)
        for number in sorted({*chosen, *life.unread} & life.archived):
            self.ledger.check_data(life, number, self.client.data(life.model_id, number))
            self._check_version_files(life, folder, number)
        life.unread.clear()

    def _check_files(self, life: Life, listed: set[int]) -> None:
        folder = model_folder(str(self.archive), life.model_id)
        there = {path.name for path in Path(folder.path).glob("[!.]*")}
        paths = [f(number) for number in listed for f in (folder.version_yaml, folder.version_data)]
        expected = {Path(path).name for path in (*paths, folder.yaml)}
        if there != expected:
            self.ledger.complain(life, f"files {sorted(there ^ expected)} are there without versions, or missing")

    def _check_version_files(self, life: Life, folder: ModelFolder, number: int) -> None:
        metadata, data = Path(folder.version_yaml(number)), Path(folder.version_data(number))
        sent = life.sent[life.given[number]]
        reported = yaml.load(metadata.read_bytes(), Loader=yaml.CBaseLoader)
        expected = (str(number), str(sent.size_bytes), sent.data_hash, hash_of(data.read_bytes()))
        found = (reported["version_number"], reported["data_size"], reported["data_hash"], sent.data_hash)
        if expected != found:
            self.ledger.complain(life, f"version {number} was {expected}; its files say {found}")
