"""
Tests of the audit log on the wire: each call that changes something has one line, and so has each that is refused.
"""

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
from attrs import frozen
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from tests.edge.test_permissions import CASES
from tests.support.access import Grants, NamedTokens, grant
from tests.support.audit import FaultyDisk, entries_of, open_log
from tests.support.client import DEADLINE_SECONDS, body, header
from twisted_registry.access.callers import Callers
from twisted_registry.domain.access import CHANGES
from twisted_registry.protocol.messages import api, v1
from twisted_registry.testing.samples import hash_of
from twisted_registry.testing.server import InProcessRegistry

_COGMENT, _V1 = "/cogmentAPI.ModelRegistrySP", "/twisted_registry.v1.Registry"
_DATA = b"weights"
_HASH = hash_of(_DATA)
_SECRET = "secret-text"
_WRITTEN = {"archived": True, "version_number": 2, "size_bytes": 7, "sha256": _HASH}


def _chunks(**fields: Any) -> list[Any]:
    head = v1.CreateVersionHeader(model_id="m", size_bytes=len(_DATA), metadata={"a": _SECRET}, **fields)
    return [v1.CreateVersionRequest(header=head), v1.CreateVersionRequest(chunk=_DATA)]


@frozen
class Act:
    """
    A call that changes something.

    Attributes:
        request: its request, or the messages of a stream.
        facts: what its line says, beside what each line says.
    """

    path: str
    request: Any
    facts: dict[str, Any]


_USER_DATA = {"a": _SECRET}

ACTS = (
    Act(
        f"{_COGMENT}/CreateOrUpdateModel",
        api.CreateOrUpdateModelRequest(model_info=api.ModelInfo(model_id="m", user_data=_USER_DATA)),
        {"model_id": "m"},
    ),
    Act(f"{_COGMENT}/DeleteModel", api.DeleteModelRequest(model_id="m"), {"model_id": "m"}),
    Act(
        f"{_COGMENT}/CreateVersion",
        [header("m", len(_DATA)), body(_DATA)],
        {"model_id": "m", **_WRITTEN, "archived": False},
    ),
    Act(
        f"{_COGMENT}/CreateVersion",
        [header("m", len(_DATA), archived=True), body(_DATA)],
        {"model_id": "m", **_WRITTEN},
    ),
    Act(
        f"{_V1}/CreateModel", v1.CreateModelRequest(model={"model_id": "n", "metadata": _USER_DATA}), {"model_id": "n"}
    ),
    Act(
        f"{_V1}/UpdateModel", v1.UpdateModelRequest(model={"model_id": "m", "metadata": _USER_DATA}), {"model_id": "m"}
    ),
    Act(f"{_V1}/DeleteModel", v1.DeleteModelRequest(model_id="m"), {"model_id": "m"}),
    Act(f"{_V1}/CreateVersion", _chunks(), {"model_id": "m", **_WRITTEN, "archived": False}),
    Act(
        f"{_V1}/CreateVersion",
        _chunks(archived=True, aliases=["x", "y"]),
        {"model_id": "m", "aliases": ["x", "y"], **_WRITTEN},
    ),
    Act(
        f"{_V1}/CopyVersion",
        v1.CopyVersionRequest(reference="m@1", model_id="m", aliases=["x"]),
        {"model_id": "m", "source": "m@1", "aliases": ["x"], **_WRITTEN},
    ),
    Act(
        f"{_V1}/UpdateVersion",
        v1.UpdateVersionRequest(reference="m@1", version={"labels": _USER_DATA}),
        {"model_id": "m", "version_number": 1, "size_bytes": 7, "sha256": _HASH},
    ),
    Act(
        f"{_V1}/ArchiveVersion",
        v1.ArchiveVersionRequest(reference="m@1"),
        {"model_id": "m", "version_number": 1, "size_bytes": 7, "sha256": _HASH},
    ),
    Act(f"{_V1}/DeleteVersion", v1.DeleteVersionRequest(reference="m@-1"), {"model_id": "m", "version_number": 1}),
    Act(
        f"{_V1}/SetAlias",
        v1.SetAliasRequest(reference="m", alias="production", reason=_SECRET),
        {"model_id": "m", "alias": "production", "version_number": 1, "from_number": 0},
    ),
    Act(
        f"{_V1}/DeleteAlias",
        v1.DeleteAliasRequest(model_id="m", alias="old"),
        {"model_id": "m", "alias": "old", "from_number": 1},
    ),
    Act(f"{_V1}/SetRetention", v1.SetRetentionRequest(retention={"prefix": "m"}), {"prefix": "m"}),
    Act(
        f"{_V1}/Prune",
        v1.PruneRequest(model_id="m", policy={"keep_last": 1}),
        {"model_id": "m", "dry_run": False},
    ),
)


class AuditCase(SynchronousTestCase):
    """
    A registry with an audit log, and without access control unless a test says otherwise.
    """

    access: Callers | None = None

    def setUp(self) -> None:
        """
        Start it.
        """
        self.path = Path(self.mktemp())
        self.disk = FaultyDisk()
        self.start()

    def start(self, **options: Any) -> None:
        """
        Start the registry, with options of its log.
        """
        self.log = open_log(self.path, self.disk, **options)
        self.registry = InProcessRegistry(access=self.access, audit_log=self.log)
        self.registry.start()
        self.addCleanup(self.stop)
        self.channel = grpc.insecure_channel(self.registry.address)

    def stop(self) -> None:
        """
        Stop it, so that all lines are written.
        """
        self.channel.close()
        self.registry.stop()
        self.log.close()

    def begin(self, path: str, request: Any, **metadata: str) -> Any:
        """
        Begin a call, and return its iterator of replies.
        """
        messages = request if isinstance(request, list | Iterator) else [request]
        stream: Any = self.channel.stream_stream(path, lambda message: message.SerializeToString(), bytes)
        pairs = tuple((key.replace("_", "-"), value) for key, value in metadata.items())
        return stream(iter(messages), metadata=pairs, timeout=DEADLINE_SECONDS)

    def code(self, path: str, request: Any, **metadata: str) -> grpc.StatusCode:
        """
        Make a call, and return its code.
        """
        call = self.begin(path, request, **metadata)
        try:
            for _ in call:
                pass
        except grpc.RpcError:
            pass
        code: grpc.StatusCode = call.code()
        return code

    def do(self, path: str, request: Any, **metadata: str) -> None:
        """
        Make a call that succeeds.
        """
        self.assertEqual(self.code(path, request, **metadata), grpc.StatusCode.OK, path)

    def make_model(self) -> None:
        """
        Make a model with a version and an alias.
        """
        self.do(f"{_V1}/CreateModel", v1.CreateModelRequest(model={"model_id": "m"}))
        self.do(f"{_V1}/CreateVersion", _chunks())
        self.do(f"{_V1}/SetAlias", v1.SetAliasRequest(reference="m@1", alias="old"))

    def lines(self) -> list[dict[str, Any]]:
        """
        Stop the registry, and return the lines between the first and the last.
        """
        self.stop()
        found = entries_of(self.path)
        self.assertEqual((found[0]["event"], found[-1]["event"]), ("start", "stop"))
        return found[1:-1]


class ActTests(AuditCase):
    """
    Calls that change something.
    """

    def test_all_methods(self) -> None:
        """
        The acts here contain each method that changes something, so a new one cannot be forgotten.
        """
        # The cases of the permissions contain every method.
        changing = {case.path for case in CASES if case.actions & CHANGES}
        self.assertEqual({act.path for act in ACTS}, changing - {f"{_V1}/GetUpload"})

    def test_reads(self) -> None:
        """
        Calls that only read have no line.
        """
        self.make_model()
        changing = {act.path for act in ACTS}
        for case in CASES:
            if case.path not in changing:
                call = self.begin(case.path, case.request("m"), x_request_id="read")
                with contextlib.suppress(grpc.RpcError):  # of those that find nothing
                    next(call, None)
                call.cancel()
        self.assertEqual([line for line in self.lines() if line.get("request_id") == "read"], [])


def _act_test(number: int, act: Act) -> Callable[[ActTests], None]:
    def test(self: ActTests) -> None:
        self.make_model()
        if act.path.endswith("DeleteVersion"):
            self.do(f"{_V1}/DeleteAlias", v1.DeleteAliasRequest(model_id="m", alias="old"))
        call = self.begin(act.path, act.request, x_request_id="request-1")
        replies = list(call)
        self.assertEqual(call.code(), grpc.StatusCode.OK)
        self.assertTrue(replies or act.path.endswith("Prune"))
        content = self.path.read_text() if "archived" not in act.facts or act.facts["archived"] else ""
        # A durable act is answered once its line is.
        self.assertEqual("request-1" in content, bool(content))
        found = [line for line in self.lines() if line.get("request_id") == "request-1"]
        self.assertEqual(len(found), 1)
        line = found[0]
        peer, duration_ms = line.pop("peer"), line.pop("duration_ms")
        self.assertTrue(peer.startswith("ipv4:127.0.0.1:"))
        self.assertGreaterEqual(duration_ms, 0)
        fixed = {"event": "call", "method": act.path, "result": "OK", "request_id": "request-1"}
        self.assertEqual(line, {**fixed, **act.facts})
        self.assertNotIn(_SECRET, self.path.read_text())

    test.__doc__ = f"{act.path} has one line, which does not contain metadata (act {number})."
    return test


for _number, _act in enumerate(ACTS):
    setattr(ActTests, f"test_act_{_number}_{_act.path.rpartition('/')[2]}", _act_test(_number, _act))


class PruneTests(AuditCase):
    """
    Deletions of many versions.
    """

    def make_versions(self, count: int) -> None:
        """
        Make a model with versions.
        """
        self.make_model()
        for _ in range(count - 1):
            self.do(f"{_V1}/CreateVersion", _chunks())
        self.do(f"{_V1}/DeleteAlias", v1.DeleteAliasRequest(model_id="m", alias="old"))

    def prune(self, **fields: Any) -> list[dict[str, Any]]:
        """
        Prune, and return the lines about that.
        """
        request = v1.PruneRequest(prefix="", policy={"keep_last": 1}, **fields)
        self.do(f"{_V1}/Prune", request, x_request_id="prune")
        return [line for line in self.lines() if line.get("request_id") == "prune"]

    def test_each_version_is_named(self) -> None:
        """
        The lines name every version that was deleted; the last one has their number.
        """
        self.make_versions(70)
        *parts, last = self.prune()
        numbers = [number for part in parts for number in part["version_numbers"]]
        self.assertEqual(sorted(numbers), list(range(1, 70)))
        self.assertEqual({(part["event"], part["model_id"]) for part in parts}, {("deleted", "m")})
        self.assertEqual((last["event"], last["version_count"], last["size_bytes"]), ("call", 69, 69 * 7))

    def test_dry_run(self) -> None:
        """
        A dry run deletes nothing, and its line says so.
        """
        self.make_versions(3)
        (line,) = self.prune(dry_run=True)
        self.assertEqual((line["dry_run"], line["prefix"]), (True, ""))


class RefusalTests(AuditCase):
    """
    Calls that are refused.
    """

    def setUp(self) -> None:
        """
        Permit a reader and an owner to call.
        """
        self.tokens = NamedTokens(names={"reader": None, "owner": None, "former": None})
        grants = {"token:reader": [grant("reader", "a/*")], "token:owner": [grant("admin", "*")]}
        self.access = Callers([self.tokens], Grants(by_subject=grants))
        super().setUp()

    def refused(self, path: str, request: Any, **metadata: str) -> dict[str, Any]:
        """
        Make a call that is refused, and return its line.
        """
        code = self.code(path, request, **metadata)
        (line,) = self.lines()
        self.assertEqual(line["result"], code.name)
        self.assertEqual(line["method"], path)
        return line

    def test_read(self) -> None:
        """
        A read that is not permitted has a line that names the caller and the model.
        """
        line = self.refused(f"{_V1}/GetModel", v1.GetModelRequest(model_id="b/m"), authorization="Bearer reader")
        self.assertEqual(line["result"], "PERMISSION_DENIED")
        self.assertEqual(line["identity"], {"kind": "token", "name": "reader", "token_id": "id-of-reader"})
        self.assertEqual(line["model_id"], "b/m")

    def test_act(self) -> None:
        """
        So has an act.
        """
        for path, request in (
            (f"{_V1}/DeleteModel", v1.DeleteModelRequest(model_id="a/m")),
            (f"{_COGMENT}/CreateVersion", [header("a/m", 0), body(b"")]),
        ):
            line = self.refused(path, request, authorization="Bearer reader")
            self.assertEqual((line["result"], line["model_id"]), ("PERMISSION_DENIED", "a/m"))
            self.path.unlink()
            self.start()

    def test_without_any_permission(self) -> None:
        """
        A caller who is known is named, even if nothing at all is permitted to it.
        """
        line = self.refused(f"{_V1}/GetModel", v1.GetModelRequest(model_id="b/m"), authorization="Bearer former")
        self.assertEqual(line["result"], "PERMISSION_DENIED")
        self.assertEqual(line["identity"], {"kind": "token", "name": "former", "token_id": "id-of-former"})

    def test_unknown_token(self) -> None:
        """
        A token that is not valid is named by its public part, and not written.
        """
        token = "trg_8fJ2kQmZ0a_" + "x" * 49
        for path, request in (
            (f"{_COGMENT}/RetrieveModels", api.RetrieveModelsRequest()),
            (f"{_V1}/DeleteModel", v1.DeleteModelRequest(model_id="a/m")),
        ):
            line = self.refused(path, request, authorization=f"Bearer {token}")
            self.assertEqual((line["result"], line["refused_token_id"]), ("UNAUTHENTICATED", "8fJ2kQmZ0a"))
            self.assertNotIn("identity", line)
            self.assertNotIn("xxx", self.path.read_text())
            self.path.unlink()
            self.start()

    def test_without_token(self) -> None:
        """
        A call without credentials names its peer.
        """
        line = self.refused(f"{_V1}/ListModels", v1.ListModelsRequest())
        self.assertEqual(line["result"], "UNAUTHENTICATED")
        self.assertIn("127.0.0.1", line["peer"])

    def test_identity_of_acts(self) -> None:
        """
        The line of an act names its caller.
        """
        request = v1.CreateModelRequest(model={"model_id": "m"})
        self.do(f"{_V1}/CreateModel", request, authorization="Bearer owner")
        (line,) = self.lines()
        self.assertEqual(line["identity"], {"kind": "token", "name": "owner", "token_id": "id-of-owner"})

    def test_health_is_not_recorded(self) -> None:
        """
        Health needs no permission, so it has no line.
        """
        self.do("/grpc.health.v1.Health/Check", v1.GetModelRequest())
        self.assertEqual(self.lines(), [])

    def test_flood(self) -> None:
        """
        Of many refused calls, all are counted, and few have a line.
        """
        for _ in range(300):
            self.code(f"{_V1}/ListModels", v1.ListModelsRequest())
        found = self.lines()
        counted = sum(line["count"] for line in found if line["event"] == "refusals")
        written = sum(line["event"] == "call" for line in found)
        self.assertEqual(counted + written, 300)
        self.assertGreater(counted, 0)
        hosts = {host for line in found if line["event"] == "refusals" for host in line["peers"]}
        self.assertEqual(hosts, {"ipv4:127.0.0.1"})


class FailureTests(AuditCase):
    """
    Acts that fail.
    """

    def test_not_found(self) -> None:
        """
        An act that fails has a line with its result.
        """
        self.code(f"{_V1}/DeleteVersion", v1.DeleteVersionRequest(reference="m@7"))
        (line,) = self.lines()
        self.assertEqual((line["result"], line["model_id"]), ("NOT_FOUND", "m"))

    def test_strange_ids(self) -> None:
        """
        Line breaks, escapes and quotes in ids stay within the line.
        """
        nasty = 'm\n{"event":"forged"}\r\x1b[2J\u2028"\\'
        self.code(f"{_V1}/DeleteModel", v1.DeleteModelRequest(model_id=nasty))
        self.code(f"{_V1}/DeleteAlias", v1.DeleteAliasRequest(model_id="m", alias=nasty))
        found = self.lines()
        self.assertEqual([line["event"] for line in found], ["call", "call"])
        self.assertEqual((found[0]["model_id"], found[1]["alias"]), (nasty, nasty))
        self.assertEqual(len(self.path.read_bytes().splitlines()), 4)

    def test_long_ids(self) -> None:
        """
        Long texts are cut.
        """
        self.code(f"{_V1}/DeleteModel", v1.DeleteModelRequest(model_id="m" * 100_000))
        (line,) = self.lines()
        self.assertEqual(line["model_id"], "m" * 1024)


class FaultTests(AuditCase):
    """
    A log that cannot be written.
    """

    def break_log(self) -> None:
        """
        Fill the disk, and let the log notice it by an act that is done.
        """
        self.make_model()
        self.disk.free_bytes = 0
        self.do(f"{_V1}/UpdateModel", v1.UpdateModelRequest(model={"model_id": "m"}))
        self.assertNotEqual(self.log.problem, "")

    def test_acts_that_are_refused(self) -> None:
        """
        Deletions and moves of aliases are refused before they begin.
        """
        self.break_log()
        refused: list[tuple[str, Any]] = [
            (f"{_V1}/DeleteVersion", v1.DeleteVersionRequest(reference="m@1")),
            (f"{_V1}/DeleteModel", v1.DeleteModelRequest(model_id="m")),
            (f"{_COGMENT}/DeleteModel", api.DeleteModelRequest(model_id="m")),
            (f"{_V1}/SetAlias", v1.SetAliasRequest(reference="m@1", alias="x")),
            (f"{_V1}/DeleteAlias", v1.DeleteAliasRequest(model_id="m", alias="old")),
            (f"{_V1}/CreateVersion", _chunks(archived=True, aliases=["x"])),
            (f"{_V1}/SetRetention", v1.SetRetentionRequest(retention={"prefix": "m"})),
            (f"{_V1}/Prune", v1.PruneRequest(model_id="m", policy={"keep_last": 1})),
        ]
        for path, request in refused:
            self.assertEqual(self.code(path, request), grpc.StatusCode.UNAVAILABLE, path)
        self.do(f"{_V1}/GetVersion", v1.GetVersionRequest(reference="m@old"))

    def test_acts_that_go_on(self) -> None:
        """
        Publishing goes on; the lines are written when there is space, or counted as missing.
        """
        self.break_log()
        for request in (_chunks(), _chunks(archived=True)):
            self.do(f"{_V1}/CreateVersion", request, x_request_id="published")
        self.do(f"{_COGMENT}/CreateVersion", [header("m", 0), body(b"")], x_request_id="published")
        self.disk.free_bytes = None
        found = self.lines()
        published = sum(line.get("request_id") == "published" for line in found)
        missing = sum(line["count"] for line in found if line["event"] == "missing")
        # Durable acts wait for their line, so these are missing: the update, and the archived version.
        self.assertEqual((published, missing), (2, 2))
        self.assertEqual(self.log.problem, "")

    def test_line_in_the_daemons_log(self) -> None:
        """
        The line of an act that was done, but not recorded, is in the daemon's log.
        """
        with capturedLogs() as lines:
            self.break_log()
        entries = [json.loads(str(line["entry"])) for line in lines if "entry" in line]
        self.assertEqual([(it["method"], it["model_id"]) for it in entries], [(f"{_V1}/UpdateModel", "m")])

    def test_required(self) -> None:
        """
        If the log is required, nothing is changed without it.
        """
        self.stop()
        self.start(is_required=True)
        self.break_log()
        for act in ACTS:
            self.assertEqual(self.code(act.path, act.request), grpc.StatusCode.UNAVAILABLE, act.path)
        self.do(f"{_V1}/GetVersion", v1.GetVersionRequest(reference="m@old"))
        self.disk.free_bytes = None


class PageTests(AuditCase):
    """
    The page on the audit log.
    """

    PAGE = (Path(__file__).parents[2] / "docs" / "guides" / "audit.md").read_text()

    def setUp(self) -> None:
        """
        Start a registry with access control.
        """
        self.tokens = NamedTokens(names={"ci": None, "trainer": None})
        grants = {"token:ci": [grant("admin", "*")], "token:trainer": [grant("publisher", "*")]}
        self.access = Callers([self.tokens], Grants(by_subject=grants))
        super().setUp()

    def test_lines(self) -> None:
        """
        The lines of the page have the fields of the lines of such calls, in their form.
        """
        examples = [line for line in self.PAGE.splitlines() if line.startswith("{")]
        shown = [json.loads(line) for line in examples]
        self.assertEqual(examples, [json.dumps(it, separators=(",", ":"), ensure_ascii=False) for it in shown])
        ci, trainer = ({"authorization": f"Bearer {name}"} for name in ("ci", "trainer"))
        self.do(f"{_V1}/CreateModel", v1.CreateModelRequest(model={"model_id": "m"}), **ci)
        self.do(f"{_V1}/CreateVersion", _chunks(archived=True), **ci)
        self.do(f"{_V1}/SetAlias", v1.SetAliasRequest(reference="m@1", alias="production"), **ci)
        self.code(f"{_V1}/DeleteModel", v1.DeleteModelRequest(model_id="m"), **trainer)
        self.stop()
        lines = [json.loads(line) for line in self.path.read_text().splitlines()][2:5]
        self.assertEqual([list(line) for line in lines], [list(it) for it in shown])
        for line, it in zip(lines, shown, strict=True):
            for name in ("method", "result", "event", "archived", "alias"):
                self.assertEqual(line.get(name), it.get(name))

    def test_fields_and_events(self) -> None:
        """
        The tables have all fields and events.
        """
        names = set(re.findall(r"`(\w+)`", "".join(line for line in self.PAGE.splitlines() if line.startswith("| `"))))
        fields = {name for act in ACTS for name in act.facts}
        self.assertLessEqual(fields | {"time", "identity", "peer", "seq", "prev", "result", "answer"}, names)
        self.assertLessEqual(
            {"call", "deleted", "archived", "reload", "refusals", "missing", "start", "stop", "version_numbers"}, names
        )
