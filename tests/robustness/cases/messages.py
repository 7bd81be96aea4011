"""
Fuzzed messages to each of the nine calls, and bytes that are not HTTP/2 at all.
"""

import asyncio
import random
from collections import Counter
from contextlib import suppress
from typing import Any

import grpc
import grpc.aio
from attrs import define, field

from tests.robustness.case import Case, Outcome, Trial
from tests.robustness.oracles.acts import CreateVersion, ReadData, SaveModel, items
from tests.robustness.oracles.promises import Promises
from tests.robustness.wire.async_client import LOST
from tests.robustness.wire.fuzzed_messages import TARGET, is_message, request, stream
from tests.robustness.wire.hostile_connections import Visitors
from tests.robustness.wire.readings import read_model, sent_version, version_of
from tests.support.client import Client, data_hash
from tests.support.daemon import Daemon
from twisted_registry.protocol.messages import SERVICE, SERVICE_NAME

_IN_FLIGHT = 48
_CHANNELS = 4
_ROUND = 2_000
_DEADLINE_SECONDS = 60
_WATCH_SECONDS = 0.2
_KEPT = "was-there-before"
_KEPT_DATA = (b"first", b"", bytes(range(256)) * 5000)
_WEIGHTS = {
    "CreateVersion": 6,
    "CreateOrUpdateModel": 3,
    "DeleteModel": 4,
    "RetrieveModels": 8,
    "RetrieveVersionInfos": 10,
    "RetrieveVersionData": 10,
    "VersionUpdate": 2,
    "Version": 4,
    "Status": 5,
}
_ALLOWED = {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "ABORTED", "RESOURCE_EXHAUSTED"}
_CHANNEL_OPTIONS = [("grpc.use_local_subchannel_pool", 1)]
_TOO_LONG_BYTES = 1024


@define
class Flood:
    """
    Many calls at once, one after the other.

    Attributes:
        left: how many messages are still to be sent.
        codes: how the calls ended.
        lost: how many ended in a way that the client's library could not tell.
    """

    address: str
    chance: random.Random
    left: int
    codes: Counter[str] = field(factory=Counter)
    lost: int = 0
    wrong: list[str] = field(factory=list)

    async def pour(self) -> None:
        """
        Send all.
        """
        channels = [grpc.aio.insecure_channel(self.address, options=_CHANNEL_OPTIONS) for _ in range(_CHANNELS)]
        try:
            await asyncio.gather(*(self._send(channels[number % _CHANNELS]) for number in range(_IN_FLIGHT)))
        finally:
            for channel in channels:
                await channel.close(None)

    async def _send(self, channel: "grpc.aio.Channel") -> None:
        calls: dict[str, Any] = {}
        for method in SERVICE.methods:
            kind = "stream_unary" if method.client_streaming else "unary_" + _reply_kind(method)
            calls[method.name] = getattr(channel, kind)(f"/{SERVICE_NAME}/{method.name}")
        names, weights = [*_WEIGHTS], [*_WEIGHTS.values()]
        while self.left > 0:
            (name,) = self.chance.choices(names, weights)
            messages = stream(self.chance) if name == "CreateVersion" else [request(self.chance, name)]
            self.left -= len(messages)
            await self._one(calls[name], name, messages)

    async def _one(self, method: Any, name: str, messages: list[bytes]) -> None:
        # Only a good subscription goes on for ever; all else is given as long as a busy machine may take.
        watches = name == "VersionUpdate" and is_message(name, messages[0])
        deadline = _WATCH_SECONDS if watches else _DEADLINE_SECONDS
        streams = name == "CreateVersion"
        call = method(iter(messages) if streams else messages[0], timeout=deadline, wait_for_ready=True)
        try:
            if name in ("RetrieveVersionData", "VersionUpdate"):
                async for _ in call:
                    pass
            else:
                await call
            code, text = "OK", ""
        except grpc.aio.AioRpcError as error:
            code, text = error.code().name, error.details() or ""
        if text == LOST:
            self.lost += 1
            return
        self.codes[code] += 1
        self._judge(name, messages, code, text)

    def _judge(self, name: str, messages: list[bytes], code: str, text: str) -> None:
        allowed = _ALLOWED if is_message(name, messages[0]) else {"INVALID_ARGUMENT"}
        if code == "DEADLINE_EXCEEDED" and name == "VersionUpdate" and is_message(name, messages[0]):
            return
        if code not in allowed:
            self._tell(name, messages, f"{code} {text}")
        if code != "OK" and not 0 < len(text.encode()) <= _TOO_LONG_BYTES:
            self._tell(name, messages, f"{code} with a text of {len(text.encode())} bytes")

    def _tell(self, name: str, messages: list[bytes], what: str) -> None:
        self.wrong.append(f"{name}({', '.join(raw.hex() for raw in messages)[:2000]}): {what}")


def _reply_kind(method: Any) -> str:
    return "stream" if method.server_streaming else "unary"


def _prepare(client: Client) -> Promises:
    """
    Create the model that no fuzzed message names.
    """
    promises = Promises()
    begun = promises.begin(_KEPT, SaveModel(items({"kept": "yes"})))
    client.save_model(_KEPT, kept="yes")
    promises.acknowledge(begun)
    for data in _KEPT_DATA:
        begun = promises.begin(_KEPT, CreateVersion(sent_version(data, True)))
        promises.acknowledge(begun, version_of(client.create(_KEPT, data, archived=True)))
    return promises


def _clean_up(client: Client) -> None:
    # Models made by chance would make lists ever longer.
    for info in client.models().model_infos:
        if info.model_id != _KEPT:
            client.delete_model(info.model_id)
    client.save_model(TARGET)
    client.create(TARGET, b"data")
    client.create(TARGET, b"datadata")


def _check_kept(client: Client, promises: Promises) -> None:
    found = read_model(client, _KEPT)
    promises.compare(_KEPT, found)
    for version in found.versions:
        begun = promises.begin(_KEPT, ReadData(version.number))
        promises.acknowledge(begun, data_hash(client.data(_KEPT, version.number)))


def _round(client: Client, promises: Promises, flood: Flood, visitors: Visitors) -> None:
    """
    Flood the daemon for a while, then see whether it still does what it should.
    """
    visitors.come()
    asyncio.run(flood.pour())
    _check_kept(client, promises)
    _clean_up(client)
    visitors.some_leave()


def run(trial: Trial) -> Outcome:
    """
    Send it all.
    """
    chance = random.Random(trial.seed)
    daemon = Daemon(trial.directory, ["--archive-dir", str(trial.directory / "archive")]).start()
    flood = Flood(daemon.address, chance, 0)
    client, visitors = Client(daemon.address), Visitors(daemon.port, chance)
    done = 0
    try:
        promises = _prepare(client)
        _clean_up(client)
        while done < trial.count and daemon.process.poll() is None:
            amount = min(_ROUND, trial.count - done)
            flood.left = amount
            _round(client, promises, flood, visitors)
            flood.wrong += promises.wrong
            promises.wrong.clear()
            done += amount - flood.left
            trial.progress(min(done, trial.count))
    except grpc.RpcError as error:
        flood.wrong.append(f"a good call failed: {error}")
    finally:
        client.close()
        visitors.leave()
        flood.wrong += _end(daemon)
    calls = {f"calls that ended with {code}": number for code, number in sorted(flood.codes.items())}
    others = {
        "calls whose end the client's library lost": flood.lost,
        "connections with bytes that are not HTTP/2": visitors.came,
    }
    return Outcome(done, flood.wrong, {**calls, **others})


def _end(daemon: Daemon) -> list[str]:
    status = daemon.process.poll()
    if status is not None:
        return [f"the daemon is gone, with {status}: {daemon.log[-2000:]}"]
    wrong = []
    with suppress(Exception):
        status = daemon.stop()
    daemon.kill()
    if status != 0:
        wrong.append(f"the daemon stopped with {status}")
    wrong += [f"the log reports a bug: {line.strip()}" for line in daemon.lines if _is_bug(line)]
    return wrong


def _is_bug(line: str) -> bool:
    return "Traceback" in line or "incident" in line


CASE = Case(
    name="messages",
    counts="fuzzed messages",
    promise="Whatever bytes come, each call ends with a code that says whose fault it is, and the rest is served.",
    short=3_000,
    long=1_000_000,
    run=run,
)
