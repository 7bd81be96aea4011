"""
Tests for every way a call can be refused, as docs/reference/wire-protocol.md lists them: the code says whose fault it
is, and the text names the thing and says what to do.
"""

import errno
import os
import shutil
import signal
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from grpc import StatusCode

from tests.support.archive_files import write_model, write_version
from tests.support.client import body, data_hash, header
from tests.support.daemon import Daemon
from tests.support.edge import EdgeTestCase
from tests.support.holds import DATA
from tests.support.registry_case import RegistryTestCase
from tests.support.upload import Upload
from twisted_registry.domain.models import MAX_VERSION_NUMBER
from twisted_registry.protocol.messages import SERVICE, api

MIB = 1024 * 1024
LIMIT = 256 * 1024


class RefusalTestCase(EdgeTestCase):
    """
    A model m with a version of four bytes.
    """

    def setUp(self) -> None:
        """
        Make the model.
        """
        super().setUp()
        self.client.save_model("m")
        self.client.create("m", b"data")

    def tearDown(self) -> None:
        """
        Check that nothing was a bug.
        """
        super().tearDown()
        self.assertNotIn("incident", self.daemon.log)

    def refuse(self, code: StatusCode, *rows: tuple[Callable[[], Any], Sequence[str]]) -> None:
        """
        Check that calls are refused, and what the texts say.
        """
        for call, said in rows:
            self.assertTrue(self.assert_refused(code, call, *said))

    def upload(self, *messages: Any) -> Callable[[], Any]:
        """
        Return the argument that makes an upload.
        """
        return lambda: self.client.call("CreateVersion", messages)


class InvalidArgumentTests(RefusalTestCase):
    """
    Requests that can never succeed.
    """

    def test_bytes(self) -> None:
        """
        Bytes that are not a message of the call: the text names the message.
        """
        for method in SERVICE.methods:
            request: Any = [b"\xff"] if method.client_streaming else b"\xff"
            call = partial(self.client.call, method.name, request)
            ended: Callable[[], Any] = partial(lambda call: list(call()), call) if method.server_streaming else call
            self.assert_refused(StatusCode.INVALID_ARGUMENT, ended, f"cogmentAPI.{method.input_type.name}")

    def test_models(self) -> None:
        """
        Invalid ids and metadata.
        """
        self.refuse(
            StatusCode.INVALID_ARGUMENT,
            (lambda: self.client.save_model(""), ["empty", "name the model"]),
            (lambda: self.client.save_model("x" * 201), ["201 bytes", "at most 200"]),
            (lambda: self.client.save_model("a\nb"), ["'a\\nb'", "control character", "remove it"]),
            (lambda: self.client.save_model("m", k="x" * LIMIT), [str(LIMIT), "store large data as versions"]),
            (lambda: self.client.call("CreateOrUpdateModel", b""), ["no model_info", "set it"]),
            (lambda: self.client.models(handle="x"), ["'x'", "non-negative decimal", "leave it empty to begin"]),
        )

    def test_uploads(self) -> None:
        """
        Streams whose order, size or hash is wrong.
        """
        first = header("m", 4)
        self.refuse(
            StatusCode.INVALID_ARGUMENT,
            (self.upload(), ["empty", "must begin with a header"]),
            (self.upload(body(b"data")), ["first message", "must be a header"]),
            (self.upload(b"\x0a\x00"), ["header with a version_info"]),
            (self.upload(first, first), ["every message", "must be a body"]),
            (self.upload(first, b"\xff"), ["CreateVersionRequestChunk"]),
            (self.upload(first, body(b"dat")), ["4 bytes", "3 bytes", "declare the size"]),
            (self.upload(first, body(b"data!")), ["4 bytes", "5 bytes", "declare the size"]),
            (
                self.upload(header("m", 4, data_hash="x"), body(b"data")),
                ["'x'", data_hash(b"data"), "send the data again, or leave data_hash empty"],
            ),
            (self.upload(header("m", 4, user_data={"k": "x" * LIMIT})), [str(LIMIT), "store large data as versions"]),
        )

    def test_version_handles(self) -> None:
        """
        Handles that no reply contained.
        """
        self.refuse(
            StatusCode.INVALID_ARGUMENT,
            (lambda: self.client.infos("m", handle="-1"), ["'-1'", "non-negative decimal", "leave it empty to begin"]),
            (lambda: self.client.infos("m", 1, handle="2"), ["'2'", "leave it empty to begin", "versions_count"]),
        )


class NotFoundTests(RefusalTestCase):
    """
    Missing things.
    """

    def test_models(self) -> None:
        """
        An unknown model: the text names it, and how to create it.
        """
        said = ["'nobody'", "CreateOrUpdateModel"]
        self.refuse(
            StatusCode.NOT_FOUND,
            (lambda: self.client.delete_model("nobody"), said),
            (lambda: self.client.models("m", "nobody"), said),
            (lambda: self.client.create("nobody", b"data"), said),
            (lambda: self.client.infos("nobody"), said),
            (lambda: self.client.data("nobody", 1), said),
            (lambda: list(self.client.updates("nobody")), said),
        )

    def test_versions(self) -> None:
        """
        An unknown version: the text names it, and explains the numbers.
        """
        for number in (0, 2, -2, 2**31 - 1, -(2**31)):
            said = ["'m'", f"version {number};", "numbers start at 1 and -1 is the latest", "evicted"]
            self.refuse(
                StatusCode.NOT_FOUND,
                (partial(self.client.infos, "m", number), said),
                (partial(self.client.infos, "m", 1, number), said),
                (partial(self.client.data, "m", number), said),
            )

    def test_model_deleted_under_a_subscriber(self) -> None:
        """
        A stream whose model is deleted ends.
        """
        updates = self.client.updates("m")
        next(updates)
        self.client.delete_model("m")
        self.refuse(StatusCode.NOT_FOUND, (lambda: next(updates), ["'m'", "CreateOrUpdateModel"]))


class AbortedTests(RefusalTestCase):
    """
    Calls that another client's call has made obsolete.
    """

    def test_model_deleted_under_an_upload(self) -> None:
        """
        An upload whose model is deleted meanwhile is aborted, also if the model exists again.
        """
        upload = Upload(self.client, header("m", 4), body(b"data"))
        self.wait_until_true(partial(upload.has_taken, 2), "all is sent")
        self.client.infos("m")
        self.client.delete_model("m")
        self.client.save_model("m")
        self.refuse(StatusCode.ABORTED, (upload.finish, ["'m'", "create the model again"]))


class LimitTests(RefusalTestCase):
    """
    Limits.
    """

    flags = ("--version-max-bytes", str(2 * MIB), "--version-cache-max-bytes", str(MIB))

    def test_requests_and_replies(self) -> None:
        """
        Messages that are too large, and lists that are too long: the text says how to ask instead.
        """
        self.client.create("m", b"data", user_data={"k": "x" * 200_000})
        too_many = api.RetrieveVersionInfosRequest(model_id="m", version_numbers=[1] * 100_001)
        too_many_models = api.RetrieveModelsRequest(model_ids=["m"] * 100_001)
        self.refuse(
            StatusCode.RESOURCE_EXHAUSTED,
            (lambda: self.client.infos("m", *[2] * 400), [str(64 * MIB), "smaller pages", "versions_count"]),
            (lambda: self.client.call("RetrieveVersionInfos", too_many), ["100001", "at most 100000"]),
            (lambda: self.client.call("RetrieveModels", too_many_models), ["100001", "at most 100000"]),
            (lambda: self.client.delete_model("x" * 64 * MIB), ["larger than max"]),
        )

    def test_versions(self) -> None:
        """
        Versions that are too large, for the registry or for its memory: the text says what to do.
        """
        self.refuse(
            StatusCode.RESOURCE_EXHAUSTED,
            (self.upload(header("m", 3 * MIB, archived=True)), [str(3 * MIB), str(2 * MIB), "--version-max-bytes"]),
            (self.upload(header("m", 2 * MIB)), [str(2 * MIB), str(MIB), "archived"]),
        )


class IdleTimeoutTests(RefusalTestCase):
    """
    A registry with a short idle timeout.
    """

    flags = ("--upload-idle-seconds", "3")

    def test_idle_upload(self) -> None:
        """
        An upload that sends nothing: the text says that data is missing.
        """
        upload = Upload(self.client, header("m", 4))
        self.addCleanup(upload.end)
        self.refuse(StatusCode.DEADLINE_EXCEEDED, (upload.result, ["arrived for 3 s", "send it again"]))


class DamageTests(RefusalTestCase):
    """
    An archive that is damaged, and one whose numbers are used up.
    """

    def prepare(self) -> None:
        """
        Create the archive on disk.
        """
        (write_model(self.archive, "broken") / "broken.yaml").write_bytes(b"\xff")
        folder = write_model(self.archive, "hurt")
        write_version(folder, 1, b"data").write_bytes(b"date")
        write_version(folder, 2, b"data").unlink()
        write_version(write_model(self.archive, "old"), MAX_VERSION_NUMBER, b"data")

    def test_damage(self) -> None:
        """
        Damaged things are named, with the way to repair or avoid them.
        """
        model, version = ["'broken'", "damaged", "CreateOrUpdateModel"], ["'hurt'", "damaged", "use another version"]
        self.refuse(
            StatusCode.DATA_LOSS,
            (lambda: self.client.models("broken"), model),
            (lambda: self.client.infos("broken"), model),
            (lambda: self.client.data("hurt", 1), ["version 1 ", *version]),
            (lambda: self.client.data("hurt", 2), ["version 2 ", *version]),
            (lambda: self.client.infos("hurt", -1), ["version 2 ", *version]),
        )

    def test_numbers_used_up(self) -> None:
        """
        If the last number is used, there is no next one: the text says how to continue.
        """
        for archived in (False, True):
            call = partial(self.client.create, "old", b"data", archived=archived)
            self.refuse(StatusCode.RESOURCE_EXHAUSTED, (call, ["'old'", "no version numbers left", "another model"]))


class DiskTests(RefusalTestCase):
    """
    A disk that takes no writes.
    """

    def prepare(self) -> None:
        """
        Make the daemon find the archive whose disk fails on demand.
        """
        self.control = self.directory / "errno"
        shutil.copytree(DATA / "refusing_provider", self.directory / "plugins")

    def make_daemon(self, *flags: str) -> Daemon:
        """
        Make a daemon on that archive.
        """
        archive = f"refusing:{self.archive}:{self.control}"
        environment = {"PYTHONPATH": str(self.directory / "plugins")}
        return Daemon(self.directory, ["--archive", archive, *flags], environment, is_forked=self.is_forked)

    def assert_refused_with(self, name: str, code: StatusCode, *said: str) -> None:
        """
        Check that all writes are refused while the disk fails, that reading still works, that writing works afterwards,
        and that the log reports it once.
        """
        self.control.write_text(name)
        self.refuse(
            code,
            (lambda: self.client.save_model("m", a="1"), said),
            (lambda: self.client.save_model("new"), said),
            (lambda: self.client.create("m", b"more", archived=True), said),
        )
        self.assertEqual(self.client.data("m", 1), b"data")
        self.control.unlink()
        self.assertEqual(self.client.create("m", b"more", archived=True).version_number, 2)
        self.wait_until_logged("storage error in the archive")
        (line,) = (line for line in self.daemon.lines if "storage error in the archive" in line)
        self.assertIn(f"#warn] storage error in the archive {self.archive}: ", line)
        self.assertIn(os.strerror(getattr(errno, name)), line)

    def test_full(self) -> None:
        """
        A full disk: free some space.
        """
        self.assert_refused_with("ENOSPC", StatusCode.RESOURCE_EXHAUSTED, "full", "free some space, then try again")

    def test_read_only(self) -> None:
        """
        A read-only file system: reading still works.
        """
        self.assert_refused_with("EROFS", StatusCode.FAILED_PRECONDITION, "cannot be written", "reading still works")

    def test_failed(self) -> None:
        """
        A failing disk: check it.
        """
        self.assert_refused_with("EIO", StatusCode.UNAVAILABLE, "storage failed", "check the server's disk")


class StopTests(RefusalTestCase):
    """
    A daemon that stops.
    """

    make_daemon = RegistryTestCase.make_daemon

    def test_subscribers(self) -> None:
        """
        A stream ends with UNAVAILABLE: subscribe again later.
        """
        updates = self.client.updates("m")
        next(updates)
        self.daemon.ask_to_stop(signal.SIGTERM)
        self.refuse(StatusCode.UNAVAILABLE, (lambda: next(updates), ["stopping", "subscribe again"]))
        self.assertEqual(self.daemon.wait(), 0)
