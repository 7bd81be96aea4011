"""
Tests of the creators of versions on the wire.
"""

from typing import Any

from tests.edge.test_permissions import PermissionsCase
from tests.support.client import body, header
from twisted_registry.protocol.messages import v1

_COGMENT, _V1 = "/cogmentAPI.ModelRegistrySP", "/twisted_registry.v1.Registry"


class CreatedByTests(PermissionsCase):
    """
    With access control, a version says who created it.
    """

    def setUp(self) -> None:
        """
        Make a model.
        """
        super().setUp()
        self.call("CreateModel", v1.CreateModelRequest(model={"model_id": "a/m"}), "all")

    def call(self, method: str, request: Any, token: str) -> bytes:
        """
        Make a call that succeeds, and return its first reply.
        """
        reply: bytes = next(self.begin(f"{_V1}/{method}", request, token))
        return reply

    def create(self, token: str, **fields: Any) -> Any:
        """
        Create a version with ``twisted_registry.v1``.
        """
        head = v1.CreateVersionHeader(model_id="a/m", **fields)
        return v1.Version.FromString(self.call("CreateVersion", [v1.CreateVersionRequest(header=head)], token))

    def creator(self, number: int) -> str:
        """
        Return who created a version.
        """
        reply = self.call("GetVersion", v1.GetVersionRequest(reference=f"a/m@{number}"), "all")
        return str(v1.Version.FromString(reply).created_by)

    def test_both_services(self) -> None:
        """
        Both services record it, for transient and for archived versions.
        """
        for archived in (False, True):
            next(
                self.begin(f"{_COGMENT}/CreateVersion", [header("a/m", 0, archived=archived), body(b"")], "maintainer")
            )
            self.assertEqual(self.create("maintainer", archived=archived).created_by, "token:maintainer")
        self.assertEqual([self.creator(number) for number in (1, 2, 3, 4)], ["token:maintainer"] * 4)

    def test_archiving_keeps_it(self) -> None:
        """
        A transient version that another caller archives keeps its creator, also over a restart.
        """
        self.create("publisher")
        reply = self.call("ArchiveVersion", v1.ArchiveVersionRequest(reference="a/m@1"), "maintainer")
        self.assertEqual(v1.Version.FromString(reply).created_by, "token:publisher")
        self.registry.stop()
        self.registry.start()
        self.assertEqual(self.creator(1), "token:publisher")

    def test_copy(self) -> None:
        """
        A copy is created by the caller that copied it.
        """
        self.create("publisher")
        for transient in (False, True):
            request = v1.CopyVersionRequest(reference="a/m@1", model_id="a/m", transient=transient)
            reply = self.call("CopyVersion", request, "maintainer")
            self.assertEqual(v1.Version.FromString(reply).created_by, "token:maintainer")
        self.assertEqual(self.creator(1), "token:publisher")

    def test_later_changes_keep_it(self) -> None:
        """
        Labels that another caller sets change nothing about it.
        """
        self.create("publisher", archived=False)
        self.call("UpdateVersion", v1.UpdateVersionRequest(reference="a/m@1", version={"labels": {"a": "b"}}), "all")
        self.assertEqual(self.creator(1), "token:publisher")

    def test_filter(self) -> None:
        """
        Versions are found by their creator.
        """
        self.create("publisher")
        self.create("maintainer")
        self.create("maintainer", archived=True)
        for text, expected in (
            ('created_by = "token:maintainer"', [2, 3]),
            ('created_by = "token:p*"', [1]),
            ('created_by != "token:maintainer"', [1]),
            ('created_by = "token:nobody"', []),
        ):
            reply = self.call("ListVersions", v1.ListVersionsRequest(model_id="a/m", filter=text), "reader")
            found = v1.ListVersionsResponse.FromString(reply).versions
            self.assertEqual(sorted(version.number for version in found), expected, text)

    def test_event(self) -> None:
        """
        The event of a creation has it.
        """
        watch = self.begin(f"{_V1}/WatchEvents", v1.WatchEventsRequest(model_id="a/m"), "reader")
        next(watch)
        self.create("publisher")
        self.assertEqual(v1.Event.FromString(next(watch)).version_created.created_by, "token:publisher")
        watch.cancel()
