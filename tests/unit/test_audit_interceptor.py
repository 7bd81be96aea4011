"""
Tests of the interceptor that records calls.
"""

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from tests.support.audit import FakeLog
from tests.support.calls import METHOD, FakeContext, call_on
from twisted_registry.domain.access import ANONYMOUS, Action, Identity
from twisted_registry.domain.errors import (
    AuditUnavailable,
    NotAuthenticated,
    NotPermitted,
    SignInsThrottled,
    StorageFailure,
    Unavailable,
    UnknownModel,
)
from twisted_registry.domain.models import VersionInfo
from twisted_registry.rpc.bridge import AsyncioRuntime
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.interceptors.audit import Audit
from twisted_registry.rpc.interceptors.refusal_lines import RefusalLines
from twisted_registry.rpc.methods import Handler

_INFO = VersionInfo("m", 7, 1, archived=True, sha256="hash", size_bytes=5)


class _DirectReactor:
    """
    A reactor that calls functions at once.
    """

    def callFromThread(self, function: Callable[..., Any], *args: Any) -> None:
        """See ``IReactorFromThreads.callFromThread``."""
        function(*args)


class AuditCase(SynchronousTestCase):
    """
    An interceptor with a log in memory.
    """

    def setUp(self) -> None:
        """
        Make it.
        """
        self.log = FakeLog()
        self.audit = Audit(self.log, seconds=lambda: 0.0)

    async def start(self, action: Action, handler: Handler) -> "tuple[asyncio.Task[Any], CallContext]":
        """
        Begin a call of a method, and return its task.
        """
        method = evolve(METHOD, action=action)
        wrapped = self.audit.intercept(method, self.audit.begin_act(method, handler))
        call = call_on(FakeContext(metadata=[("x-request-id", "r-1")]), method)
        task = asyncio.create_task(_run(wrapped(b"", call)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return task, call

    def results(self) -> list[tuple[str, Any]]:
        """
        Return the result of each line, and what the client got if it was something else.
        """
        return [(entry["result"], entry.get("answer")) for entry in self.log.entries]


async def _run(call: Awaitable[Any]) -> Any:
    return await call


class CancelledTests(AuditCase):
    """
    Calls whose client leaves.
    """

    def cancel(self, action: Action, handler: Handler, then: Callable[[], None] = lambda: None) -> CallContext:
        """
        Begin a call, cancel it, do something, and finish what goes on.
        """

        async def main() -> CallContext:
            self.go_on = asyncio.Event()
            task, call = await self.start(action, handler)
            task.cancel()
            await asyncio.wait([task])
            self.assertTrue(task.cancelled())
            then()
            self.go_on.set()
            await self.audit.finish()
            return call

        return asyncio.run(main())

    def test_act(self) -> None:
        """
        An act that has begun is finished, and its line has its result.
        """

        async def handler(request: Any, call: CallContext) -> None:
            call.note(model_id="m")
            await self.go_on.wait()
            call.note(version_number=3)

        self.cancel(Action.DELETE, handler, lambda: self.assertEqual(self.log.entries, []))
        (entry,) = self.log.entries
        self.assertEqual((entry["result"], entry["answer"], entry["version_number"]), ("OK", "CANCELLED", 3))

    def test_act_that_has_just_ended(self) -> None:
        """
        The line of an act that was done has its result, also if the call is cancelled or refused at that moment.
        """

        async def handler(request: Any, call: CallContext) -> None:
            call.note(model_id="m")
            await self.go_on.wait()

        async def refused(request: Any, call: CallContext) -> None:
            try:
                await self.audit.begin_act(call.method, handler)(request, call)
            except asyncio.CancelledError:
                raise NotAuthenticated("the token was revoked") from None

        async def main(outer: Callable[[Handler], Handler]) -> None:
            self.go_on = asyncio.Event()
            method = evolve(METHOD, action=Action.DELETE)
            call = call_on(FakeContext(), method)
            task = asyncio.create_task(_run(self.audit.intercept(method, outer(handler))(b"", call)))
            while call.work is None:
                await asyncio.sleep(0)
            call.work.add_done_callback(lambda _: task.cancel())
            self.go_on.set()
            await asyncio.wait([task])
            await self.audit.finish()

        method = evolve(METHOD, action=Action.DELETE)
        asyncio.run(main(lambda handler: self.audit.begin_act(method, handler)))
        asyncio.run(main(lambda handler: refused))
        self.assertEqual(self.results(), [("OK", "CANCELLED"), ("OK", "UNAUTHENTICATED")])

    def test_act_that_fails(self) -> None:
        """
        If it fails, its line says so.
        """

        async def handler(request: Any, call: CallContext) -> None:
            await self.go_on.wait()
            raise StorageFailure("broken")

        self.cancel(Action.ALIAS, handler)
        self.assertEqual(self.results(), [("UNAVAILABLE", "CANCELLED")])

    def test_upload(self) -> None:
        """
        An upload that is cancelled before its commit has changed nothing.
        """

        async def handler(request: Any, call: CallContext) -> None:
            call.note(model_id="m", archived=True)
            await self.go_on.wait()

        self.cancel(Action.PUBLISH, handler)
        self.assertEqual(self.results(), [("CANCELLED", None)])

    def test_commit(self) -> None:
        """
        A commit goes on without its client, and the line names the version.
        """
        committed: Deferred[VersionInfo] = Deferred()

        async def handler(request: Any, call: CallContext) -> Any:
            runtime = AsyncioRuntime(_DirectReactor(), asyncio.get_running_loop())  # type: ignore[arg-type]
            call.note(model_id="m", archived=True)
            return await runtime.start(lambda: committed, lambda: None)

        self.cancel(Action.PUBLISH, handler, lambda: committed.callback(_INFO))
        (entry,) = self.log.entries
        self.assertEqual((entry["result"], entry["answer"], entry["version_number"]), ("OK", "CANCELLED", 7))

    def test_call_is_freed(self) -> None:
        """
        A call whose version was committed is freed at once, without the garbage collector.
        """

        async def handler(request: Any, call: CallContext) -> Any:
            runtime = AsyncioRuntime(_DirectReactor(), asyncio.get_running_loop())  # type: ignore[arg-type]
            self.context = weakref.ref(call._context)
            return await runtime.start(lambda: succeed(_INFO), lambda: None)

        async def main() -> None:
            task, _ = await self.start(Action.PUBLISH, handler)
            await asyncio.wait([task])

        gc.disable()
        self.addCleanup(gc.enable)
        asyncio.run(main())
        self.assertIsNone(self.context())

    def test_commit_that_does_not_end(self) -> None:
        """
        A commit whose end nobody waits for is recorded as such.
        """

        async def handler(request: Any, call: CallContext) -> None:
            await asyncio.Event().wait()

        async def main() -> None:
            task, _ = await self.start(Action.DELETE, handler)
            task.cancel()
            await asyncio.wait([task])
            await self.audit.finish(timeout_seconds=0)

        asyncio.run(main())
        self.assertEqual(self.results(), [("UNKNOWN", "CANCELLED")])


class ResultTests(AuditCase):
    """
    Calls that fail.
    """

    def fail_call(self, error: Exception, action: Action = Action.DELETE) -> None:
        """
        Make a call that fails.
        """

        async def handler(request: Any, call: CallContext) -> None:
            raise error

        async def main() -> None:
            task, _ = await self.start(action, handler)
            await asyncio.wait([task])
            self.assertIs(task.exception(), error)

        asyncio.run(main())

    def test_results(self) -> None:
        """
        The result is the name of the status.
        """
        errors = (UnknownModel("m"), StorageFailure("broken"), NotPermitted("no"), ZeroDivisionError())
        for error in errors:
            self.fail_call(error)
        expected = ["NOT_FOUND", "UNAVAILABLE", "PERMISSION_DENIED", "INTERNAL"]
        self.assertEqual([result for result, _ in self.results()], expected)

    def test_throttled(self) -> None:
        """
        Calls whose credentials were not checked are refusals, whose lines are limited.
        """
        for _ in range(30):
            self.fail_call(SignInsThrottled("wait", 6.0))
        self.assertEqual(self.results(), [("UNAVAILABLE", None)] * 10)

    def test_waits(self) -> None:
        """
        Calls wait for the lines of durable acts that have begun, unless these have certainly changed nothing.
        """

        async def begin(request: Any, call: CallContext) -> None:
            call.note(model_id="m", archived=is_archived)
            if error is not None:
                raise error

        async def main(action: Action) -> int:
            before = len(self.log.awaited)
            task, _ = await self.start(action, begin)
            await asyncio.wait([task])
            task.exception()
            return len(self.log.awaited) - before

        for action, is_archived, error, waits in (
            (Action.DELETE, False, None, 1),
            (Action.DESCRIBE, False, None, 1),
            (Action.PUBLISH, True, None, 1),
            (Action.PUBLISH, False, None, 0),
            (Action.DELETE, False, StorageFailure("broken"), 1),
            (Action.DELETE, False, UnknownModel("m"), 0),
        ):
            self.assertEqual(asyncio.run(main(action)), waits, (action, is_archived, error))
        self.assertEqual(len(self.log.entries), 6)

    def test_refusals_do_not_wait(self) -> None:
        """
        A call that is refused before it begins does not wait, so a flood of them is not one of syncs.
        """
        for error in (Unavailable("the registry is stopping"), AuditUnavailable("disk full"), NotPermitted("no")):
            self.fail_call(error)
        expected = ["UNAVAILABLE", "UNAVAILABLE", "PERMISSION_DENIED"]
        self.assertEqual([result for result, _ in self.results()], expected)
        self.assertEqual(self.log.awaited, [])

    def test_required(self) -> None:
        """
        A setting decides if publications are refused while the log has a problem.
        """

        async def handler(request: Any, call: CallContext) -> bytes:
            return b"done"

        async def main(action: Action) -> Any:
            task, _ = await self.start(action, handler)
            await asyncio.wait([task])
            return type(task.exception()).__name__

        self.log.problem = "the disk is full"
        for is_required, refused in ((False, ("DELETE", "ALIAS", "ADMIN")), (True, ())):
            self.log.is_required = is_required
            for action in (Action.PUBLISH, Action.DESCRIBE, Action.ARCHIVE, Action.DELETE, Action.ALIAS, Action.ADMIN):
                is_refused = asyncio.run(main(action)) == "AuditUnavailable"
                self.assertEqual(is_refused, is_required or action.name in refused, action)


class RefusalLinesTests(SynchronousTestCase):
    """
    The limit on lines about refused calls.
    """

    def setUp(self) -> None:
        """
        Make one with a clock.
        """
        self.log, self.now = FakeLog(), 0.0
        self.later: list[tuple[float, Callable[[], None]]] = []
        self.lines = RefusalLines(self.log, lambda: self.now, lambda *args: self.later.append(args))

    def written(self, count: int, host: str) -> int:
        """
        Return how many of some refused calls of a host get a line.
        """
        return sum(self.lines.may_write(f"{host}:{port}") for port in range(count))

    def test_per_host(self) -> None:
        """
        A host gets some lines a second; others get theirs.
        """
        self.assertEqual((self.written(100, "ipv4:a"), self.written(3, "ipv4:b")), (10, 3))
        self.now = 1.0
        self.assertEqual(self.written(100, "ipv4:a"), 10)

    def test_in_all(self) -> None:
        """
        All hosts together get some lines a second.
        """
        self.assertEqual(sum(self.written(10, f"ipv4:{host}") for host in range(100)), 50)

    def test_strangers_and_callers(self) -> None:
        """
        A flood of strangers, also from the same address, takes no line of a caller who is known.
        """
        ann, bob, nobody = Identity("token", "ann"), Identity("token", "bob"), ANONYMOUS
        for host in range(100):
            self.written(10, f"ipv4:{host}")
        self.assertEqual([self.lines.may_write("ipv4:1:1", each) for each in (ann, nobody, None)], [True, False, False])
        for _ in range(20):
            self.lines.may_write("ipv4:2:1", ann)
        self.assertTrue(self.lines.may_write("ipv4:1:1", bob))
        self.lines.flush()
        strangers, callers = self.log.entries
        self.assertEqual((strangers["count"], "ipv4:1" in strangers["peers"]), (952, True))
        self.assertEqual(callers, {"event": "refusals", "count": 11, "identities": {"token:ann": 11}})

    def test_counted(self) -> None:
        """
        The others are counted in one line, a second later.
        """
        self.written(100, "ipv4:a")
        self.written(11, "ipv4:b")
        ((seconds, flush),) = self.later
        self.assertEqual((seconds, self.log.entries), (1.0, []))
        flush()
        expected = {"event": "refusals", "count": 91, "peers": {"ipv4:a": 90, "ipv4:b": 1}}
        self.assertEqual(self.log.entries, [expected])
        flush()
        self.assertEqual(len(self.log.entries), 1)

    def test_many_hosts(self) -> None:
        """
        However many hosts there are, the line is short.
        """
        for host in range(1000):
            self.written(1, f"ipv4:{host}")
        self.lines.flush()
        (entry,) = self.log.entries
        self.assertEqual((entry["count"], len(entry["peers"])), (950, 101))
        self.assertEqual(sum(entry["peers"].values()), 950)
