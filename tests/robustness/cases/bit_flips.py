"""
Bits that flip on the archive, and worse; and what comes over the wire then.
"""

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
from attrs import define, field

from tests.robustness.case import Case, Outcome, Trial
from tests.robustness.disk.damaged_archive import CHUNK_BYTES, Harmed, choose, harm, lay_out, sprinkle
from tests.support.client import Client
from tests.support.daemon import Daemon
from twisted_registry.domain.models import VersionInfo
from twisted_registry.storage.filesystem.layout import is_hashed_name

_AT_ONCE = 50
_OTHER_METADATA = "flips in metadata that show as other metadata"
_OTHER_HASH = "of those, in a hash: its data is refused"


@define
class Look:
    """
    A look at models over the wire.

    Attributes:
        figures: what was seen, and how often.
    """

    client: Client
    figures: Counter[str]
    wrong: list[str] = field(factory=list)

    def at_all(self, models: list[Harmed]) -> None:
        """
        Look at each of them.
        """
        listed = {info.model_id: dict(info.user_data) for info in self.client.models().model_infos}
        by_id = {model.model_id: model for model in models}
        self.wrong += [f"a model from nowhere is listed: {found!r}" for found in listed.keys() - by_id.keys()]
        for model in models:
            shown = listed.get(model.model_id)
            if shown != model.user_data and model.part != "model":
                self._tell(model, f"is listed with {shown}")
            self._guarded(model)

    def _guarded(self, model: Harmed) -> None:
        try:
            self.at(model)
        except grpc.RpcError as error:
            self._tell(model, f"a call failed: {error}")

    def at(self, model: Harmed) -> None:
        """
        Look at one.
        """
        self._model(model)
        self._list(model)
        for number in model.versions:
            self._version(model, number)
        self._latest(model)
        self._goes_on(model)

    def _tell(self, model: Harmed, what: str) -> None:
        self.wrong.append(f"{model}: {what}")

    def _model(self, model: Harmed) -> None:
        reply = _or_code(lambda: self.client.models(model.model_id))
        if isinstance(reply, str):
            if model.part != "model" or reply not in _model_codes(model):
                self._tell(model, f"is {reply} by its id")
            self._repair(model)
        elif dict(reply.model_infos[0].user_data) != model.user_data:
            self._other(model, "model")

    def _repair(self, model: Harmed) -> None:
        self.figures["models repaired"] += 1
        self.client.save_model(model.model_id, repaired="yes")
        if dict(self.client.models(model.model_id).model_infos[0].user_data) != {"repaired": "yes"}:
            self._tell(model, "is not repaired")

    def _other(self, model: Harmed, part: str) -> None:
        # There is no checksum of metadata in this layout.
        if model.part != part:
            self._tell(model, "metadata that nobody touched is other metadata")
        self.figures[_OTHER_METADATA] += 1

    def _list(self, model: Harmed) -> None:
        shown = {info.version_number: info for info in self.client.infos(model.model_id).version_infos}
        if not shown.keys() <= model.versions.keys():
            self._tell(model, f"versions from nowhere are listed: {sorted(shown)}")
        for number, (info, _) in model.versions.items():
            if number in shown:
                self._compare(model, shown[number], info)
            elif not self._may_be_lost(model, number):
                self._tell(model, f"version {number} is not listed")

    def _may_be_lost(self, model: Harmed, number: int) -> bool:
        return model.part in ("data", "version") and model.number == number

    def _compare(self, model: Harmed, shown: Any, info: VersionInfo) -> None:
        reported = shown.model_id, shown.version_number, shown.archived, shown.data_size
        if reported != (info.model_id, info.version_number, True, info.size_bytes):
            self._tell(model, f"an info is wrong: {shown}")
        if (shown.creation_timestamp, dict(shown.user_data)) != (info.created_ns, info.metadata):
            self._other_info(model, info)
        elif shown.data_hash != info.sha256:
            self._other_info(model, info)
            self.figures[_OTHER_HASH] += 1

    def _other_info(self, model: Harmed, info: VersionInfo) -> None:
        self._other(model, "version" if model.number == info.version_number else "nothing")

    def _version(self, model: Harmed, number: int) -> None:
        asked = _or_code(lambda: self.client.infos(model.model_id, number))
        received, code = _received(self.client, model.model_id, number)
        for ended in (asked if isinstance(asked, str) else "OK", code):
            if ended != "OK" and not (self._may_be_lost(model, number) and ended in _codes(model)):
                self._tell(model, f"version {number} is {ended}")
        data = model.versions[number][1]
        if code == "OK" and received != data:
            self._tell(model, f"version {number} came with other bytes")
        if code != "OK" and len(received) >= max(len(data), 1):
            self._tell(model, f"version {number} is {code} after all of its bytes")
        if model.part == "data" and model.number == number and model.way != "extended" and code == "OK":
            self._tell(model, f"version {number} came")

    def _latest(self, model: Harmed) -> None:
        reply = _or_code(lambda: self.client.latest(model.model_id))
        latest = max(model.versions)
        if isinstance(reply, str):
            if not (self._may_be_lost(model, latest) and reply in _codes(model)):
                self._tell(model, f"the latest is {reply}")
        elif reply.version_number != latest and not (self._may_be_lost(model, latest) and model.way == "removed"):
            self._tell(model, f"the latest is {reply.version_number}")

    def _goes_on(self, model: Harmed) -> None:
        last = model.floor
        for archived in (False, True):
            number = self.client.create(model.model_id, b"new", archived=archived).version_number
            if number <= last:
                self._tell(model, f"number {number} may have been used, up to {last}")
            if self.client.data(model.model_id, number) != b"new":
                self._tell(model, f"new version {number} came with other bytes")
            last = number


def _codes(model: Harmed) -> set[str]:
    # A version without its .yaml does not exist.
    return {"DATA_LOSS", "NOT_FOUND"} if (model.part, model.way) == ("version", "removed") else {"DATA_LOSS"}


def _model_codes(model: Harmed) -> set[str]:
    # If an id is too long for a directory name, only the .yaml files say which model it was.
    if is_hashed_name(model.folder.name) and not model.versions:
        return {"DATA_LOSS", "NOT_FOUND"}
    return {"DATA_LOSS"}


def _kind(model: Harmed) -> str:
    # A part of a harmed file is worse than none of it, or something else: those are one kind.
    return f"{model.part} files {model.way if model.way in ('flipped', 'cut', 'extended') else 'gone or no files'}"


def _or_code(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except grpc.RpcError as error:
        return error.code().name


def _received(client: Client, model_id: str, number: int) -> tuple[bytes, str]:
    received = bytearray()
    try:
        for chunk in client.chunks(model_id, number):
            received += chunk
    except grpc.RpcError as error:
        return bytes(received), error.code().name
    return bytes(received), "OK"


def _round(directory: Path, chance: random.Random, count: int, running: bool, figures: Counter[str]) -> list[str]:
    """
    Harm an archive, and look.

    Args:
        running: whether the daemon runs already, and knows some of the models.
    """
    archive = directory / "archive"
    models = lay_out(archive, chance, count)
    for model in models:
        choose(model, chance)
    sprinkle(archive, models, chance)
    flags = ["--archive-dir", str(archive), "--sent-model-version-data-chunk-size", str(CHUNK_BYTES)]
    daemon = Daemon(directory, flags)
    if running:
        client = Client(daemon.start().address)
        for model in chance.sample(models, count // 2):
            client.infos(model.model_id)
    for model in models:
        harm(model, chance)
    if not running:
        client = Client(daemon.start().address)
    look = Look(client, figures)
    try:
        look.at_all(models)
    finally:
        client.close()
        status = daemon.stop()
        daemon.kill()
    if status or any("Traceback" in line or "incident" in line for line in daemon.lines):
        look.wrong.append(f"the daemon ended with {status}: {daemon.log[-3000:]}")
    figures.update(_kind(model) for model in models)
    return look.wrong


def run(trial: Trial) -> Outcome:
    """
    Harm models, each in one way.
    """
    chance = random.Random(trial.seed)
    figures: Counter[str] = Counter()
    wrong: list[str] = []
    done = rounds = 0
    while done < trial.count:
        count = min(_AT_ONCE, trial.count - done)
        wrong += _round(trial.directory / str(rounds), chance, count, rounds % 2 == 1, figures)
        done, rounds = done + count, rounds + 1
        trial.progress(done)
    return Outcome(done, wrong, dict(sorted(figures.items())))


CASE = Case(
    name="bit-flips",
    counts="bit flips, and worse, on the archive",
    promise="Damage on the archive is reported to requests for it, and the rest is served as before.",
    short=60,
    long=1_000,
    run=run,
)
