"""
Clients who take all they can, and give nothing back.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import grpc
import grpc.aio
from attrs import define, field

from tests.robustness.case import Case, Outcome, Trial
from tests.robustness.wire.async_client import LOST
from tests.support.archive_files import version_yaml, write_model, write_version
from tests.support.client import DEADLINE_SECONDS, Client, body, data_hash, header
from tests.support.daemon import Daemon
from twisted_registry.protocol.messages import SERVICE_NAME, api

MIB = 2**20
_BUDGET_BYTES = 100 * MIB
_LISTS_BYTES = 2 * 250 * MIB
"""Two long lists at a time, each of 64 MiB at most on the wire, and about four times that while it is made."""
_OVERHEAD_BYTES = 150 * MIB
"""The process itself, and the infos it keeps."""


_FLAGS = (
    *("--version-cache-max-bytes", str(_BUDGET_BYTES)),
    *("--uploads-max-bytes", str(_BUDGET_BYTES), "--uploads-wait-seconds", "2", "--upload-idle-seconds", "4"),
    *("--downloads-max-bytes", str(_BUDGET_BYTES), "--download-idle-seconds", "2"),
)
_AT_ONCE = 60
_TRIES = 4
_WAVE_SECONDS = 5.0
"""Longer than anybody is waited for."""
_VERSION_BYTES = 30 * MIB
_MOST_PIECE_BYTES = 4 * MIB
"""The bytes of a client's single message, which gRPC receives before it can be counted or refused."""

_BOUND_BYTES = 3 * _BUDGET_BYTES + _AT_ONCE * _MOST_PIECE_BYTES + _LISTS_BYTES + _OVERHEAD_BYTES
_LISTED, _USER_DATA_BYTES = 250, 240 * 1024
_SHORT_LIST, _SHORT_LISTS = 16, 50
"""Infos in a short list of 4 MiB, and how many of these one client asks for over its one connection."""

_ALLOWED = frozenset(
    {
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNAVAILABLE,  # for clients that are disconnected
        grpc.StatusCode.INVALID_ARGUMENT,
    }
)


@define
class _Hostile:
    """
    A hostile client with its own connection.
    """

    address: str
    random: Random
    over: asyncio.Event
    channel: Any = field(init=False)

    def __attrs_post_init__(self) -> None:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
        self.channel = grpc.aio.insecure_channel(self.address, options=options)

    async def act(self) -> grpc.StatusCode | None:
        """
        Take something, and hold it until all is over.

        Returns:
            how the call ended, if it did.
        """
        acts: list[Callable[[], Any]] = [self._upload, self._upload, self._read, self._read, self._list, self._lie]
        acts.append(self._many_short_lists)
        call = self.random.choice(acts)()
        with suppress(TimeoutError, asyncio.CancelledError):
            await asyncio.wait_for(self.over.wait(), DEADLINE_SECONDS)
        code = await self._code(call) if call.done() else None
        call.cancel()
        await self.channel.close()
        return code

    async def _code(self, call: Any) -> grpc.StatusCode | None:
        # What gRPC's client says of itself where its connection broke while it sent: no status came.
        if await call.details() == LOST:
            return None
        code: grpc.StatusCode = await call.code()
        return code

    def _stream(self, method: str, messages: AsyncIterator[bytes]) -> Any:
        return self.channel.stream_stream(f"/{SERVICE_NAME}/{method}")(messages)

    def _request(self, method: str, message: Any) -> Any:
        async def once() -> AsyncIterator[bytes]:
            yield message.SerializeToString()

        return self._stream(method, once())

    def _upload(self) -> Any:
        return self._stream("CreateVersion", self._half(_VERSION_BYTES))

    def _lie(self) -> Any:
        return self._stream("CreateVersion", self._half(1))

    async def _half(self, size_bytes: int) -> AsyncIterator[bytes]:
        piece = _MOST_PIECE_BYTES >> self.random.randrange(9)
        yield header("m", size_bytes, archived=self.random.random() < 0.5).SerializeToString()
        for _ in range(_VERSION_BYTES // 2 // piece):
            yield body(bytes(piece)).SerializeToString()
        await self.over.wait()

    def _read(self) -> Any:
        number = self.random.choice([1, -1])
        return self._request("RetrieveVersionData", api.RetrieveVersionDataRequest(model_id="m", version_number=number))

    def _list(self) -> Any:
        return self._request("RetrieveVersionInfos", api.RetrieveVersionInfosRequest(model_id="long"))

    def _many_short_lists(self) -> Any:
        request = api.RetrieveVersionInfosRequest(model_id="long", versions_count=_SHORT_LIST)
        return [self._request("RetrieveVersionInfos", request) for _ in range(_SHORT_LISTS)][-1]


def _lay_out(archive: Path) -> None:
    folder = write_model(archive, "long")
    for number in range(1, _LISTED + 1):
        write_version(folder, number, b"", version_yaml("long", number, b"", f"{{a: {'x' * _USER_DATA_BYTES}}}"))


async def _wave(address: str, random: Random, count: int, meanwhile: Callable[[], list[str]]) -> list[str]:
    over = asyncio.Event()
    clients = [asyncio.create_task(_Hostile(address, Random(random.random()), over).act()) for _ in range(count)]
    wrong = await asyncio.to_thread(meanwhile)
    over.set()
    codes = set(await asyncio.gather(*clients)) - {None}
    return wrong + [f"a hostile call ended with {code}" for code in codes - _ALLOWED]


def _served(client: Client, data: bytes) -> list[str]:
    wrong = []
    if data_hash(client.data("m", 1)) != data_hash(data):
        wrong.append("wrong data")
    created = client.create("m", b"small")
    if client.latest("m") != created:
        wrong.append("the latest is not the latest")
    if len(client.models().model_infos) != 2:
        wrong.append("a list is wrong")
    return wrong


def _serves(client: Client, data: bytes) -> list[str]:
    """
    Check that a good client is served nevertheless. On a busy machine it may be slow too and be disconnected like
    others; then it tries again.
    """
    refusals: list[grpc.RpcError] = []
    while len(refusals) < _TRIES:
        try:
            return _served(client, data)
        except grpc.RpcError as error:
            refusals.append(error)
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                break
    return [f"a good call was refused: {refusals[-1]}"]


def _keeps_serving(client: Client, data: bytes) -> list[str]:
    until = time.monotonic() + _WAVE_SECONDS
    wrong = _serves(client, data)
    while not wrong and time.monotonic() < until:
        wrong = _serves(client, data)
    return wrong


def _run(trial: Trial) -> Outcome:
    archive = trial.directory / "archive"
    _lay_out(archive)
    daemon = Daemon(trial.directory, ["--archive-dir", str(archive), *_FLAGS])
    random, data, wrong, done = Random(trial.seed), bytes(range(256)) * (_VERSION_BYTES // 256), list[str](), 0
    try:
        client = Client(daemon.start().address)
        client.save_model("m")
        client.create("m", data, archived=True)
        while done < trial.count:
            count = min(_AT_ONCE, trial.count - done)
            wrong += asyncio.run(_wave(daemon.address, random, count, lambda: _keeps_serving(client, data)))
            done += count
            trial.progress(done)
        peak_bytes = daemon.memory_bytes(peak=True)
        client.close()
        if daemon.stop() != 0 or "Traceback" in daemon.log:
            wrong.append(f"the daemon did not end well: {daemon.log}")
    finally:
        daemon.kill()
    if peak_bytes > _BOUND_BYTES:
        wrong.append(f"the daemon took {peak_bytes // MIB} MiB, and may take {_BOUND_BYTES // MIB}")
    return Outcome(done, wrong, {"MiB at most": peak_bytes // MIB, "MiB allowed": _BOUND_BYTES // MIB})


CASE = Case(
    "memory",
    f"clients who take all they can, {_AT_ONCE} at once",
    "Memory stays within its bounds, and others are served, whatever clients begin and do not end.",
    _AT_ONCE,
    1_200,
    _run,
)
