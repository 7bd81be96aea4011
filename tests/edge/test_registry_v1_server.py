"""
Tests of the calls of ``twisted_registry.v1`` about the server, its callers and followers.
"""

from typing import Any

from tests.edge.test_permissions import PermissionsCase
from tests.edge.test_registry_v1 import RegistryV1Case
from tests.support.access import grant
from twisted_registry import __version__
from twisted_registry.protocol.messages import v1

_V1 = "twisted_registry.v1.Registry"


class FollowersTests(RegistryV1Case):
    """
    ``ListFollowers``.
    """

    def test_streams(self) -> None:
        """
        Each stream is listed while it is under way, with the last version that it was sent.
        """
        subscription = self.client.updates(self.model_id)
        self.assertEqual(next(subscription).version_info.version_number, 2)
        watch = self.v1.WatchEvents(model_id=self.model_id)
        several = self.v1.WatchEvents(prefix=self.model_id[:-1])
        for stream in (watch, several):
            next(stream)
        self.client.create(self.model_id, b"three")
        for stream in (subscription, watch, several):
            next(stream)
        reply = self.v1.ListFollowers(model_id=self.model_id)
        self.assertEqual(reply.total_size, 3)
        self.assertEqual(
            {(each.stream, each.model_id, each.prefix, each.last_number) for each in reply.followers},
            {
                ("VersionUpdate", self.model_id, "", 3),
                ("WatchEvents", self.model_id, "", 3),
                ("WatchEvents", "", self.model_id[:-1], 0),
            },
        )
        for each in reply.followers:
            self.assertRegex(each.peer, "^ipv[46]:")
            self.assertGreaterEqual(each.last_time.ToNanoseconds(), each.start_time.ToNanoseconds())
        pages = self.v1.ListFollowers(model_id=self.model_id, page_size=2)
        rest = self.v1.ListFollowers(model_id=self.model_id, page_size=2, page_token=pages.next_page_token)
        self.assertEqual([*pages.followers, *rest.followers], list(reply.followers))
        self.assertEqual(rest.next_page_token, "")
        for stream in (subscription, watch, several):
            stream.cancel()

    def test_unknown_model(self) -> None:
        """
        The list of a model that does not exist is refused.
        """
        code = self.v1.fails("ListFollowers", model_id=f"{self.model_id}-no")
        self.assertEqual(code.name, "NOT_FOUND")


class StatusTests(RegistryV1Case):
    """
    ``GetServerStatus`` and ``GetCaller`` without access control.
    """

    def test_status(self) -> None:
        """
        The state of the server is what it holds.
        """
        before = self.v1.GetServerStatus()
        self.client.create(self.model_id, b"three")
        after = self.v1.GetServerStatus()
        self.assertEqual(after.version, __version__)
        self.assertEqual(after.memory_bytes - before.memory_bytes, 5)
        self.assertEqual(after.memory_versions - before.memory_versions, 1)
        self.assertGreater(after.uptime.ToNanoseconds(), before.uptime.ToNanoseconds())
        self.assertEqual((after.archive_problem, after.write_problem), ("", ""))
        self.assertGreater(after.uploads_max_bytes, 0)
        self.assertEqual(after.running_calls, 1)

    def test_anyone(self) -> None:
        """
        Without access control the caller has no name and may do everything.
        """
        caller = self.v1.GetCaller(model_id=self.model_id)
        self.assertEqual(caller.subject, "")
        everything = ["admin", "alias", "archive", "delete", "describe", "publish", "read", "status"]
        self.assertEqual(list(caller.actions), everything)


class AccessTests(PermissionsCase):
    """
    The same calls with access control.
    """

    def reply(self, name: str, request: Any, reply: Any, token: str = "reader") -> Any:
        """
        Make a call.
        """
        return reply.FromString(next(self.begin(f"/{_V1}/{name}", request, token)))

    def caller(self, model_id: str, token: str = "reader") -> Any:
        """
        Ask who the caller is.
        """
        return self.reply("GetCaller", v1.GetCallerRequest(model_id=model_id), v1.Caller, token)

    def test_caller(self) -> None:
        """
        A caller learns its name, its token, when that ends, and what it may do with a model, or with any.
        """
        self.tokens.names["reader"] = 2e9
        reader = self.caller("a/m")
        self.assertEqual((reader.subject, reader.token_id), ("token:reader", "id-of-reader"))
        self.assertEqual(reader.expire_time.seconds, 2_000_000_000)
        self.assertEqual(list(reader.actions), ["read", "status"])
        self.assertEqual(list(self.caller("copies/m").actions), ["describe", "publish", "read", "status"])
        self.assertEqual(list(self.caller("b/m").actions), [])
        self.assertEqual(list(self.caller("").actions), ["describe", "publish", "read", "status"])
        self.assertFalse(self.caller("", "all").HasField("expire_time"))

    def test_followers_of_all(self) -> None:
        """
        A list of all streams has those about models that the caller may see, with the names of their callers.
        """
        streams = []
        for model_id, token in (("a/1", "publisher"), ("b/1", "all")):
            self.code(f"/{_V1}/CreateModel", v1.CreateModelRequest(model={"model_id": model_id}), "all")
            watch = self.begin(f"/{_V1}/WatchEvents", v1.WatchEventsRequest(model_id=model_id), token)
            next(watch)
            streams.append(watch)
        everything = self.begin(f"/{_V1}/WatchEvents", v1.WatchEventsRequest(), "all")
        next(everything)
        streams.append(everything)

        def listed(token: str, model_id: str = "") -> list[tuple[str, str]]:
            request = v1.ListFollowersRequest(model_id=model_id)
            reply = self.reply("ListFollowers", request, v1.ListFollowersResponse, token)
            return [(each.model_id, each.actor) for each in reply.followers]

        mine, other, of_all = ("a/1", "token:publisher"), ("b/1", "token:all"), ("", "token:all")
        self.assertEqual(listed("reader"), [mine])
        self.assertEqual(listed("all"), [mine, other, of_all])
        self.assertEqual(listed("reader", "a/1"), [mine, of_all])
        self.policy.by_subject["token:nobody"] = [grant("reader", "*")]
        self.policy.change()
        self.assertEqual(listed("nobody"), [mine, other, of_all])
        for stream in streams:
            stream.cancel()
