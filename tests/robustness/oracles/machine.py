"""
All nine calls in any order, with odd arguments, against a reference that does one thing at a time.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import grpc
from attrs import define, evolve, field
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.robustness.oracles.acts import Version
from tests.robustness.oracles.reference import Reference, Refused, Upload
from tests.robustness.wire.readings import version_of, versions_of
from tests.robustness.wire.served import Served
from tests.support.client import Client, body, data_hash, header
from tests.support.upload import Upload as SlowUpload
from twisted_registry.protocol.messages import api

T = TypeVar("T")

CHUNK_BYTES = 1000
FLAGS = ("--version-cache-max-items", "100000", "--sent-model-version-data-chunk-size", str(CHUNK_BYTES))
"""Nothing is evicted, and small versions have many chunks."""

_GOOD_IDS = ["m", "M-v000001", "..", "a/../b", "läufer 走", "CON", "%2e", "i" * 200]
_BAD_IDS = ["", "x" * 201, "a\nb", "é" * 101]
_HANDLES = ["", "", "", "0", "1", "2", "007", "9" * 30, "-1", "x", "1.0", " 1", "listed:x"]
_SELECTORS = [-1, -1, -2, -3, 1, 1, 2, 3, 4, 0, 101, 2**31 - 1, -(2**31)]
_RESTARTS = st.sampled_from([False] * 5 + [True])

_MAIN_ID = ".."
MODEL_IDS = st.sampled_from([*[_MAIN_ID] * 12, *_GOOD_IDS])
"""Mostly one, so that it comes to have some versions."""
ANY_IDS = st.sampled_from([*_GOOD_IDS, *_BAD_IDS])
HANDLES = st.sampled_from(_HANDLES)
COUNTS = st.sampled_from([0, 0, 1, 2, 3, 2**32 - 1])
SELECTORS = st.lists(st.sampled_from(_SELECTORS), min_size=1, max_size=4)
_WORDS = st.sampled_from(["", "=", "<<", "null", "~", "1e3", "yes", "\x85", "\ufeff", '"', "a: b", "走"]) | st.text(
    max_size=8
)
USER_DATA = st.dictionaries(_WORDS, _WORDS, max_size=2)
DATA = st.binary(max_size=20) | st.sampled_from([CHUNK_BYTES - 1, CHUNK_BYTES, 2 * CHUNK_BYTES, 30_001]).map(bytes)
TIMES_NS = st.sampled_from([0, 0, 0, 1, 10**9 + 1, 2**63, 2**64 - 1])


@st.composite
def uploads(draw: st.DrawFn) -> Upload:
    """
    Draw an upload; most parts of it are valid.
    """
    data = draw(DATA)
    size_bytes = max(0, len(data) + draw(st.sampled_from([0] * 8 + [1, -1, 10**6])))
    declared = draw(st.sampled_from([data_hash(data), "", "", "", data_hash(b"other than that"), "x"]))
    return Upload(data, draw(st.booleans()), size_bytes, declared, draw(USER_DATA), draw(TIMES_NS))


@define
class Shared:
    """
    The shared parts of the machines.

    Attributes:
        machines: how many there were.
    """

    served: Served
    client: Client
    progress: Callable[[int], None]
    machines: int = 0
    restarts: int = 0
    calls: int = 0
    refusals: dict[str, int] = field(factory=dict)

    def restart(self, clean: bool) -> None:
        """
        Stop the daemon, or kill it, and start it again.
        """
        self.restarts += 1
        if clean:
            self.served.restart()
        else:
            self.served.crash()


class RegistryMachine(RuleBasedStateMachine):
    """
    One sequence of calls.
    """

    def __init__(self, shared: Shared) -> None:
        super().__init__()
        self.shared, self.client, self.reference = shared, shared.client, Reference()
        shared.machines += 1
        shared.progress(shared.machines)
        for info in self.client.models().model_infos:
            self.client.delete_model(info.model_id)

    def same(self, expect: Callable[[], T], ask: Callable[[], T]) -> None:
        """
        Check that the registry answers as the reference does, refusals included.
        """
        expected, found = _outcome(expect), _outcome(ask)
        self.shared.calls += 1
        if isinstance(expected, grpc.StatusCode):
            self.shared.refusals[expected.name] = self.shared.refusals.get(expected.name, 0) + 1
        assert found == expected, f"expected {expected!r}, and it was {found!r}"

    # Models

    @initialize(user_data=USER_DATA, begun=st.lists(uploads(), max_size=3))
    def begin(self, user_data: dict[str, str], begun: list[Upload]) -> None:
        """
        Make the model that most is about.
        """
        self.save(_MAIN_ID, user_data)
        for upload in begun:
            self.create(_MAIN_ID, upload)

    @rule(model_id=MODEL_IDS, user_data=USER_DATA)
    def save(self, model_id: str, user_data: dict[str, str]) -> None:
        """
        Make a model, or change it.
        """
        self.same(
            lambda: self.reference.save_model(model_id, user_data),
            lambda: _save(self.client, model_id, user_data),
        )

    @rule(model_id=st.sampled_from(_BAD_IDS))
    def save_nonsense(self, model_id: str) -> None:
        """
        Make a model that cannot be.
        """
        self.same(lambda: self.reference.save_model(model_id, {}), lambda: _save(self.client, model_id, {}))

    @rule(model_id=ANY_IDS)
    def delete(self, model_id: str) -> None:
        """
        Delete a model.
        """
        self.same(lambda: self.reference.delete_model(model_id), lambda: self.client.delete_model(model_id))

    @rule(asked=st.lists(ANY_IDS, max_size=3) | st.just([]), count=COUNTS, handle=HANDLES)
    def list_models(self, asked: list[str], count: int, handle: str) -> None:
        """
        List models, all or some.
        """
        self.same(
            lambda: self._models(*self.reference.list_models(asked, count, handle)),
            lambda: _listed_models(self.client.models(*asked, count=count, handle=handle)),
        )

    def _models(self, model_ids: list[str], handle: str) -> tuple[list[tuple[str, dict[str, str]]], str]:
        return [(model_id, dict(self.reference.models[model_id].metadata)) for model_id in model_ids], handle

    # Versions

    @rule(model_id=MODEL_IDS, upload=uploads())
    def create_another(self, model_id: str, upload: Upload) -> None:
        """
        Create a version; it is done as often again as most else.
        """
        self.create(model_id, upload)

    @rule(model_id=MODEL_IDS, upload=uploads())
    def create(self, model_id: str, upload: Upload) -> None:
        """
        Create a version.
        """
        try:
            self.reference.check_upload(model_id, upload)
        except Refused as refused:
            code = refused.code
            self.same(lambda: code, lambda: _create(self.client, model_id, upload))
        else:
            self.shared.calls += 1
            self.reference.create(model_id, upload, version_of(_create(self.client, model_id, upload)))

    @rule(model_id=MODEL_IDS, archived=st.booleans(), sent=st.binary(max_size=9))
    def give_up_upload(self, model_id: str, archived: bool, sent: bytes) -> None:
        """
        Begin a creation, and cancel it before all data has arrived: nothing is left, and no number is used up.
        """
        SlowUpload(self.client, header(model_id, 10, archived=archived), body(sent)).cancel()

    @rule(messages=st.sampled_from([[], [body(b"data")], [api.CreateVersionRequestChunk()], [b"\xff"]]))
    def create_nonsense(self, messages: list[Any]) -> None:
        """
        Send a stream that is not a creation.
        """
        self.same(lambda: grpc.StatusCode.INVALID_ARGUMENT, lambda: self.client.call("CreateVersion", messages))

    @rule(model_id=MODEL_IDS, count=COUNTS, handle=HANDLES)
    def list_versions(self, model_id: str, count: int, handle: str) -> None:
        """
        List versions, all or a page.
        """
        self.same(
            lambda: self.reference.list_versions(model_id, count, handle),
            lambda: _listed_page(self.client.infos(model_id, count=count, handle=handle)),
        )

    @rule(model_id=MODEL_IDS, selectors=SELECTORS, handle=HANDLES)
    def select_versions(self, model_id: str, selectors: list[int], handle: str) -> None:
        """
        List versions by number.
        """
        self.same(
            lambda: self.reference.select_versions(model_id, selectors, handle),
            lambda: _listed_page(self.client.infos(model_id, *selectors, handle=handle)),
        )

    @rule(model_id=MODEL_IDS, selectors=SELECTORS, count=st.integers(1, 3))
    def select_versions_in_pages(self, model_id: str, selectors: list[int], count: int) -> None:
        """
        List versions by number, page by page, to the empty one.
        """
        self.same(
            lambda: self.reference.select_versions(model_id, selectors, "")[0],
            partial(self._all_pages, model_id, selectors, count),
        )

    def _all_pages(self, model_id: str, selectors: Sequence[int], count: int) -> list[Version]:
        infos: list[Version] = []
        handle = ""
        while True:
            page, handle = _listed_page(self.client.infos(model_id, *selectors, count=count, handle=handle))
            assert len(page) == min(count, len(selectors) - len(infos)), "a page is short before the end"
            if not page:
                return infos
            infos += page

    @rule(model_id=MODEL_IDS, selector=st.sampled_from(_SELECTORS))
    def read(self, model_id: str, selector: int) -> None:
        """
        Read a version's data.
        """
        self.same(
            lambda: _cut(self.reference.data(model_id, selector)),
            lambda: list(self.client.chunks(model_id, selector)),
        )

    @rule(model_id=MODEL_IDS, upload=uploads())
    def subscribe(self, model_id: str, upload: Upload) -> None:
        """
        Subscribe to a model, and receive the latest version and then the next one.
        """
        try:
            latest = self.reference.latest(model_id)
        except Refused as refused:
            code = refused.code
            self.same(lambda: code, lambda: next(self.client.updates(model_id)))
            return
        stream = self.client.updates(model_id)
        if latest is not None:
            self.same(lambda: latest, lambda: version_of(next(stream).version_info))
        whole = evolve(upload, size_bytes=len(upload.data), data_hash="")
        self.create(model_id, whole)
        self.same(lambda: self.reference.select(model_id, -1), lambda: version_of(next(stream).version_info))
        stream.cancel()

    # The service itself

    @rule(names=st.lists(st.sampled_from(["overall_load", "nonsense", ""]), max_size=2))
    def ask_status(self, names: list[str]) -> None:
        """
        Ask for statuses, of which one is known.
        """
        self.same(lambda: {*names} & {"overall_load"}, lambda: {*self.client.statuses(*names)})

    @rule()
    def ask_version(self) -> None:
        """
        Ask for the versions.
        """
        reported = {pair.name for pair in self.client.call("Version", b"").versions}
        assert reported == {"twisted-registry", "grpc", "python", "twisted"}, reported

    @rule(now=_RESTARTS, clean=st.booleans())
    def restart(self, now: bool, clean: bool) -> None:
        """
        Now and then, stop the daemon or kill it.
        """
        if now:
            self.shared.restart(clean)
            self.reference.restart(clean)


def _outcome(call: Callable[[], T]) -> T | grpc.StatusCode:
    try:
        return call()
    except Refused as refused:
        return refused.code
    except grpc.RpcError as error:
        refusal: Any = error
        code: grpc.StatusCode = refusal.code()
        return code


def _save(client: Client, model_id: str, user_data: dict[str, str]) -> None:
    info = api.ModelInfo(model_id=model_id, user_data=user_data)
    client.call("CreateOrUpdateModel", api.CreateOrUpdateModelRequest(model_info=info))


def _create(client: Client, model_id: str, upload: Upload) -> Any:
    first = header(
        model_id,
        upload.size_bytes,
        archived=upload.archived,
        data_hash=upload.data_hash,
        creation_timestamp=upload.created_ns,
        user_data=upload.user_data,
    )
    return client.upload(first, [body(upload.data[:7]), body(upload.data[7:])])


def _listed_page(reply: Any) -> tuple[list[Version], str]:
    return list(versions_of(reply)), reply.next_version_handle


def _listed_models(reply: Any) -> tuple[list[tuple[str, dict[str, str]]], str]:
    return [(info.model_id, dict(info.user_data)) for info in reply.model_infos], reply.next_model_handle


def _cut(data: bytes) -> list[bytes]:
    return [data[start : start + CHUNK_BYTES] for start in range(0, max(1, len(data)), CHUNK_BYTES)]
