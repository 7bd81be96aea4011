"""
Tests of calls whose caller loses the permission in the middle: they end within a minute, and lose nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from queue import SimpleQueue
from threading import Event
from typing import Any

import grpc
from attrs import field, frozen
from zope.interface import implementer

from tests.edge.test_permissions import PermissionsCase
from tests.support.access import grant
from tests.support.client import body, header
from tests.support.daemon import TIMEOUT_SECONDS, wait_until
from twisted_registry.contracts.streams import IArchiveWriter
from twisted_registry.domain.models import Chunk, VersionInfo
from twisted_registry.protocol.messages import api, v1
from twisted_registry.registry.pruning import VERSIONS_AT_ONCE
from twisted_registry.storage.filesystem.archive import FilesystemArchive

_COGMENT, _V1 = "/cogmentAPI.ModelRegistrySP", "/twisted_registry.v1.Registry"
_CREATE, _GET_UPLOAD = f"{_V1}/CreateVersion", f"{_V1}/GetUpload"
_MIB = 2**20
_LARGE_BYTES = 32 * _MIB
_MOST_SECONDS = 60.0
"""The longest time for which a call may outlive its permission."""

_SLOW_READER = [
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 65536),
]
"""The options of a connection on which little data is under way while nobody reads."""

ENDED, DENIED = grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED


@frozen
class Holds:
    """
    The calls of an archive that wait.
    """

    reached: dict[str, Event] = field(factory=dict)
    released: dict[str, Event] = field(factory=dict)

    def hold(self, name: str) -> None:
        """
        Make calls wait from now on.
        """
        self.reached[name], self.released[name] = Event(), Event()

    def enter(self, name: str) -> None:
        """
        Wait, if calls are held.
        """
        if name in self.released:
            self.reached[name].set()
            self.released[name].wait(TIMEOUT_SECONDS)

    def release(self) -> None:
        """
        Let all calls go on.
        """
        for each in self.released.values():
            each.set()


@implementer(IArchiveWriter)
@frozen
class HeldWriter:
    """
    A writer whose commit can be held.
    """

    _writer: IArchiveWriter
    _holds: Holds

    def write(self, chunk: Chunk) -> None:
        """See ``IArchiveWriter.write``."""
        self._writer.write(chunk)

    def finish(self) -> None:
        """See ``IArchiveWriter.finish``."""
        self._writer.finish()

    def commit(self, info: VersionInfo) -> None:
        """See ``IArchiveWriter.commit``."""
        self._holds.enter("commit")
        self._writer.commit(info)

    def abort(self) -> None:
        """See ``IArchiveWriter.abort``."""
        self._writer.abort()


class HeldArchive(FilesystemArchive):
    """
    An archive whose commits can be held, and its deletions by retention.
    """

    def __init__(self, root: str, holds: Holds) -> None:
        super().__init__(root)
        self._holds = holds

    def create_version(self, model_id: str) -> IArchiveWriter:
        """See ``IArchive.create_version``."""
        return HeldWriter(super().create_version(model_id), self._holds)

    def delete_versions(self, model_id: str, version_numbers: Sequence[int]) -> None:
        """See ``ILifecycleArchive.delete_versions``."""
        self._holds.enter("delete")
        super().delete_versions(model_id, version_numbers)


class EndedPermissionsTests(PermissionsCase):
    """
    Every kind of long call, in the middle.
    """

    def make_archive(self) -> HeldArchive:
        """
        Return an archive on disk.
        """
        self.holds = Holds()
        self.addCleanup(self.holds.release)
        return HeldArchive(str(Path(self.mktemp()).absolute()), self.holds)

    def setUp(self) -> None:
        """
        Make a model with a large version, and a caller.
        """
        super().setUp()
        self.tokens.names["ann"] = None
        self.policy.by_subject["token:ann"] = [grant("admin", "a/*")]
        self.code(f"{_V1}/CreateModel", v1.CreateModelRequest(model={"model_id": "a/m"}), "all")
        chunks = [body(bytes(_MIB)) for _ in range(_LARGE_BYTES // _MIB)]
        self.code(f"{_COGMENT}/CreateVersion", [header("a/m", _LARGE_BYTES), *chunks], "all")
        self.queues: list[SimpleQueue[Any]] = []
        self.addCleanup(self.end_uploads)

    def end_uploads(self) -> None:
        """
        Send the end of each creation.
        """
        for queue in self.queues:
            queue.put(None)

    def start(self, path: str, request: Any, channel: grpc.Channel | None = None) -> Any:
        """
        Begin a call that must not last for longer than a minute.
        """
        return self.begin(path, request, "ann", channel=channel, timeout_seconds=_MOST_SECONDS)

    def upload(self, path: str, *messages: Any) -> Any:
        """
        Begin a creation whose end is not sent.
        """
        queue: SimpleQueue[Any] = SimpleQueue()
        self.queues.append(queue)
        return self.start(path, chain(messages, iter(queue.get, None)))

    def download(self, path: str, request: Any) -> Any:
        """
        Begin to read data, and stop after the first message.
        """
        channel = grpc.insecure_channel(self.registry.address, options=_SLOW_READER)
        self.addCleanup(channel.close)
        return self.read_one(self.start(path, request, channel))

    def read_one(self, call: Any) -> Any:
        """
        Wait for the first message of a call.
        """
        next(call)
        return call

    def watches(self) -> Mapping[str, Any]:
        """
        Begin the calls that wait for changes of the model.
        """
        return {
            "VersionUpdate": self.read_one(
                self.start(f"{_COGMENT}/VersionUpdate", api.VersionUpdateRequest(model_id="a/m"))
            ),
            "WatchEvents": self.read_one(self.start(f"{_V1}/WatchEvents", v1.WatchEventsRequest(model_id="a/m"))),
        }

    def transfers(self) -> Mapping[str, Any]:
        """
        Begin the calls that move data.
        """
        data = bytes(2 * _MIB)
        v1_header = v1.CreateVersionHeader(model_id="a/m", size_bytes=3 * _MIB, archived=True, idempotency_key="middle")
        calls = {
            "CreateVersion": self.upload(f"{_COGMENT}/CreateVersion", header("a/m", 3 * _MIB), body(data)),
            "CreateVersion of v1": self.upload(
                _CREATE, v1.CreateVersionRequest(header=v1_header), v1.CreateVersionRequest(chunk=data)
            ),
            "RetrieveVersionData": self.download(
                f"{_COGMENT}/RetrieveVersionData", api.RetrieveVersionDataRequest(model_id="a/m", version_number=1)
            ),
            "ReadVersion": self.download(f"{_V1}/ReadVersion", v1.ReadVersionRequest(reference="a/m@1")),
        }
        wait_until(lambda: self.received() == len(data), "the data has arrived")
        return calls

    def received(self) -> int:
        """
        Return how much of the upload with a key has arrived.
        """
        request = v1.GetUploadRequest(model_id="a/m", idempotency_key="middle")
        return int(v1.Upload.FromString(next(self.begin(_GET_UPLOAD, request, "ann"))).received_bytes)

    def check_ends(self, change: Callable[[], object], code: grpc.StatusCode) -> None:
        """
        Check that every call ends after a change, and that an upload leaves nothing.
        """
        calls = {**self.watches(), **self.transfers()}
        self.assertEqual([name for name, call in calls.items() if not call.is_active()], [])
        change()
        codes, sizes = {}, {}
        for name, call in calls.items():
            sizes[name] = self.read_to_error(call)
            codes[name] = call.code()
        self.assertEqual(codes, dict.fromkeys(calls, code))
        self.assertLess(sizes["RetrieveVersionData"], _LARGE_BYTES)
        self.assertLess(sizes["ReadVersion"], _LARGE_BYTES)
        self.assertEqual(self.numbers(), [1])

    def read_to_error(self, call: Any) -> int:
        """
        Read what is left of a call, which must end with an error, and return how many bytes that was.
        """
        size_bytes = 0
        try:
            for message in call:
                size_bytes += len(message)
        except grpc.RpcError:
            return size_bytes
        raise AssertionError("the call ended without an error")

    def numbers(self) -> list[int]:
        """
        Return the numbers of the versions.
        """
        request = api.RetrieveVersionInfosRequest(model_id="a/m")
        reply = next(self.begin(f"{_COGMENT}/RetrieveVersionInfos", request, "all"))
        return [info.version_number for info in api.RetrieveVersionInfosReply.FromString(reply).version_infos]

    def grant(self, *grants: Any) -> None:
        """
        Replace the grants of the caller.
        """
        self.policy.by_subject["token:ann"] = list(grants)
        self.policy.change()

    def test_revoked(self) -> None:
        """
        A revoked token ends them with UNAUTHENTICATED.
        """
        self.check_ends(lambda: self.tokens.revoke("ann"), ENDED)

    def test_expired(self) -> None:
        """
        A token that expires ends them with UNAUTHENTICATED, although nobody changes anything.
        """
        self.tokens.names["ann"] = 10.0

        def expire() -> None:
            del self.tokens.names["ann"]  # what the authenticator says from then on
            self.clock.advance(10)

        self.check_ends(expire, ENDED)

    def test_grant_expired(self) -> None:
        """
        A grant that ends ends them with PERMISSION_DENIED.
        """
        self.grant(grant("admin", "a/*", until_seconds=10.0), grant("reader", "b/*"))
        self.check_ends(lambda: self.clock.advance(10), DENIED)

    def test_narrowed(self) -> None:
        """
        A policy that leaves other models ends them with PERMISSION_DENIED.
        """
        self.check_ends(lambda: self.grant(grant("admin", "b/*")), DENIED)

    def test_removed(self) -> None:
        """
        A policy that leaves nothing ends them with PERMISSION_DENIED.
        """
        self.check_ends(self.grant, DENIED)

    def test_action_withdrawn(self) -> None:
        """
        A role with fewer actions ends the calls that need the others, and no further ones.
        """
        watches, transfers = self.watches(), self.transfers()
        self.grant(grant("reader", "a/*"))
        for name in ("CreateVersion", "CreateVersion of v1"):
            self.read_to_error(transfers[name])
            self.assertEqual(transfers[name].code(), DENIED)
        self.code(_CREATE, [v1.CreateVersionRequest(header=v1.CreateVersionHeader(model_id="a/m"))], "all")
        for call in watches.values():
            next(call)
        for name in ("RetrieveVersionData", "ReadVersion"):
            self.assertGreater(sum(map(len, transfers[name])), _LARGE_BYTES - 4 * _MIB)

    def test_watch_of_all(self) -> None:
        """
        A watch of all models ends only if its caller may read none.
        """
        watch = self.read_one(self.start(f"{_V1}/WatchEvents", v1.WatchEventsRequest()))
        watches = self.watches()
        self.grant(grant("admin", "b/*"))
        for call in watches.values():
            self.read_to_error(call)  # the calls that began first are checked first
        self.code(f"{_V1}/CreateModel", v1.CreateModelRequest(model={"model_id": "a/n"}), "all")
        self.code(f"{_V1}/CreateModel", v1.CreateModelRequest(model={"model_id": "b/n"}), "all")
        self.assertEqual(v1.Event.FromString(next(watch)).model_created.model_id, "b/n")
        self.grant()
        self.read_to_error(watch)
        self.assertEqual(watch.code(), DENIED)

    def test_prune(self) -> None:
        """
        A run of retention ends in the middle, and deletes nothing more than the step that has begun.
        """
        archived = v1.CreateVersionRequest(header=v1.CreateVersionHeader(model_id="a/m", archived=True))
        for _ in range(100):
            self.code(_CREATE, [archived], "all")
        self.holds.hold("delete")
        request = v1.PruneRequest(model_id="a/m", policy=v1.RetentionPolicy(keep_last=1))
        call = self.start(f"{_V1}/Prune", request)
        self.assertTrue(self.holds.reached["delete"].wait(TIMEOUT_SECONDS))
        self.tokens.revoke("ann")
        self.read_to_error(call)
        self.assertEqual(call.code(), ENDED)
        self.holds.release()
        self.code(_CREATE, [archived], "all")  # it waits for the step
        self.assertGreater(len(self.numbers()), 100 - VERSIONS_AT_ONCE)

    def test_commit(self) -> None:
        """
        A commit that has begun goes on, although its call is refused: the version is there, whole.
        """
        self.holds.hold("commit")
        call = self.start(f"{_COGMENT}/CreateVersion", [header("a/m", 4, archived=True), body(b"data")])
        self.assertTrue(self.holds.reached["commit"].wait(TIMEOUT_SECONDS))
        self.tokens.revoke("ann")
        self.read_to_error(call)
        self.assertEqual(call.code(), ENDED)
        self.assertEqual(self.numbers(), [1])
        self.holds.release()
        wait_until(lambda: self.numbers() == [1, 2], "the version is there")
        request = api.RetrieveVersionDataRequest(model_id="a/m", version_number=2)
        reply = next(self.begin(f"{_COGMENT}/RetrieveVersionData", request, "all"))
        self.assertEqual(api.RetrieveVersionDataReplyChunk.FromString(reply).data_chunk, b"data")
