"""
Tests for ``twisted_registry.rpc.chain``.
"""

import asyncio
import inspect
from typing import Any, NoReturn

import grpc
from twisted.trial.unittest import SynchronousTestCase

from tests.support.calls import METHOD, Aborted, FakeContext, call_on
from twisted_registry.domain import errors
from twisted_registry.protocol.error_map import CODES
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.chain import end_failed_calls, status_of
from twisted_registry.rpc.methods import Handler

INVALID = grpc.StatusCode.INVALID_ARGUMENT
EXAMPLES = [
    (errors.InvalidRequest("bad"), INVALID, ["bad"]),
    (errors.InvalidModelId("a\0", "no"), INVALID, ["'a\\x00'", "no"]),
    (errors.InvalidFilter("filter", 7, "expected a value"), INVALID, ["filter, column 7: expected a value"]),
    (errors.SizeMismatch(3, 4), INVALID, ["3", "4"]),
    (errors.HashMismatch("abc=", "def="), INVALID, ["abc=", "def="]),
    (errors.NotAuthenticated("no token"), grpc.StatusCode.UNAUTHENTICATED, ["no token", "a valid token"]),
    (errors.NotPermitted("not 'm'"), grpc.StatusCode.PERMISSION_DENIED, ["not 'm'", "has the permission"]),
    (errors.AuditUnavailable("disk full"), grpc.StatusCode.UNAVAILABLE, ["disk full", "not done", "try again"]),
    (errors.UnknownModel("m"), grpc.StatusCode.NOT_FOUND, ["'m'", "CreateOrUpdateModel"]),
    (errors.UnknownVersion("m", 0), grpc.StatusCode.NOT_FOUND, ["'m'", "numbers start at 1", "-1 is the latest"]),
    (errors.UnknownAlias("m", "prod"), grpc.StatusCode.NOT_FOUND, ["'m'", "'prod'", "by its number", "%40"]),
    (errors.AliasMoved("m", "prod", 3, 5), grpc.StatusCode.ABORTED, ["'prod'", "names version 5", "expects version 3"]),
    (errors.AliasedVersion("m", 3, "prod"), grpc.StatusCode.FAILED_PRECONDITION, ["'m'", "3", "'prod'", "delete the"]),
    (errors.TooManyAliases("m", 9), grpc.StatusCode.FAILED_PRECONDITION, ["'m'", "more than 9 aliases", "delete"]),
    (errors.ModelExists("m"), grpc.StatusCode.ALREADY_EXISTS, ["'m'", "allow_existing"]),
    (errors.EtagChanged("m", "0a"), grpc.StatusCode.ABORTED, ["'m'", "0a", "read it again"]),
    (errors.CursorExpired("a-1"), grpc.StatusCode.OUT_OF_RANGE, ["'a-1'", "without a cursor"]),
    (errors.UnsupportedByArchive("cannot"), grpc.StatusCode.UNIMPLEMENTED, ["cannot"]),
    (errors.ModelReplaced("m"), grpc.StatusCode.ABORTED, ["'m'", "again"]),
    (errors.TooLarge("too large"), grpc.StatusCode.RESOURCE_EXHAUSTED, ["too large"]),
    (errors.Overloaded("no room"), grpc.StatusCode.RESOURCE_EXHAUSTED, ["no room"]),
    (
        errors.QuotaExceeded("q", "calls_per_second = 1", "token:ann used it up", 0.5),
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        ["'q'", "calls_per_second = 1", "token:ann", "try again in 0.5 s"],
    ),
    (errors.OutOfRange(9, 8), grpc.StatusCode.OUT_OF_RANGE, ["9", "8 bytes", "lower offset"]),
    (errors.WrongOffset(9, 8), grpc.StatusCode.FAILED_PRECONDITION, ["9", "8 bytes", "GetUpload"]),
    (errors.UploadTakenOver("m"), grpc.StatusCode.ABORTED, ["'m'", "new key", "GetUpload"]),
    (errors.Stalled(60.0), grpc.StatusCode.DEADLINE_EXCEEDED, ["60 s", "send it again"]),
    (errors.NumbersExhausted("m"), grpc.StatusCode.RESOURCE_EXHAUSTED, ["'m'"]),
    (errors.NumberTaken("m", 3, 7), grpc.StatusCode.ABORTED, ["'m'", "version 3", "create the version again"]),
    (errors.StorageFull("no space"), grpc.StatusCode.RESOURCE_EXHAUSTED, ["no space", "free some space"]),
    (errors.StorageReadOnly("read-only"), grpc.StatusCode.FAILED_PRECONDITION, ["read-only"]),
    (errors.ArchiveMoved("gone"), grpc.StatusCode.FAILED_PRECONDITION, ["gone", "restore its directory or mount"]),
    (
        errors.ArchiveChanged("one", "other"),
        grpc.StatusCode.FAILED_PRECONDITION,
        ["'one'", "'other'", "--archive-dir", "new client"],
    ),
    (errors.StorageFailure("I/O error"), grpc.StatusCode.UNAVAILABLE, ["I/O error"]),
    (errors.StorageUnavailable("stale", "version 3 of 'm'"), grpc.StatusCode.UNAVAILABLE, ["stale", "3", "try again"]),
    (errors.TooManyOpenFiles("too many"), grpc.StatusCode.UNAVAILABLE, ["too many", "ulimit -n", "LimitNOFILE"]),
    (errors.CommitUncertain("I/O error"), grpc.StatusCode.UNAVAILABLE, ["I/O error"]),
    (errors.SignInsThrottled("too many wrong tokens", 5.0), grpc.StatusCode.UNAVAILABLE, ["too many wrong tokens"]),
    (errors.Unavailable("starting"), grpc.StatusCode.UNAVAILABLE, ["starting"]),
    (errors.SignInsThrottled("wait a second"), grpc.StatusCode.UNAVAILABLE, ["wait a second"]),
    (errors.CorruptModel("m", "garbage"), grpc.StatusCode.DATA_LOSS, ["'m'", "garbage"]),
    (errors.CorruptVersion("m", 3, "garbage"), grpc.StatusCode.DATA_LOSS, ["'m'", "3", "garbage"]),
    (errors.CorruptAnnotations("m", 3, "garbage"), grpc.StatusCode.DATA_LOSS, ["'m'", "3", "garbage", "UpdateVersion"]),
    (errors.CorruptAliases("m"), grpc.StatusCode.DATA_LOSS, ["'m'", "not deleted", "--quarantine"]),
    (errors.CorruptRetention("a policy", "garbage"), grpc.StatusCode.DATA_LOSS, ["a policy", "garbage", "nothing is"]),
]

NEVER_SENT = {errors.RegistryError, errors.ArchiveTaken, errors.CannotStart}
"""The base class, and the errors that end a daemon, not a call."""


class StatusTests(SynchronousTestCase):
    """
    Each error has a code and a text with advice.
    """

    def test_codes_and_texts(self) -> None:
        """
        Each error has its code, and its text holds its facts.
        """
        for error, code, said in EXAMPLES:
            found, text = status_of(error)
            self.assertEqual(found, code, error)
            for part in said:
                self.assertIn(part, text)

    def test_complete(self) -> None:
        """
        Every error that a call can end with is in the map, and has an example above.
        """
        classes = (found for _, found in inspect.getmembers(errors, inspect.isclass))
        taxonomy = {found for found in classes if issubclass(found, errors.RegistryError)}
        self.assertEqual(taxonomy - set(CODES), NEVER_SENT)
        self.assertEqual({type(error) for error, _, _ in EXAMPLES}, set(CODES))

    def test_texts_are_short(self) -> None:
        """
        A text has at most a kilobyte in any script.
        """
        for error in (errors.UnknownModel("m" * 10_000), errors.InvalidRequest("😀" * 1000)):
            self.assertLessEqual(len(status_of(error)[1].encode()), 1024)

    def test_bug(self) -> None:
        """
        An unexpected error is INTERNAL; its text holds the incident's id and nothing of the error.
        """
        code, text = status_of(ZeroDivisionError("secret"))
        self.assertEqual(code, grpc.StatusCode.INTERNAL)
        self.assertNotIn("secret", text)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class EndFailedCallsTests(SynchronousTestCase):
    """
    ``end_failed_calls`` ends every call with a status.
    """

    def setUp(self) -> None:
        """
        Begin a call.
        """
        self.context = FakeContext(metadata=[("x-request-id", "r-1")])

    def run_wrapped(self, handler: Handler) -> Any:
        """
        Run a wrapped handler.
        """

        async def run() -> Any:
            return await end_failed_calls(METHOD, handler)(b"abc", call_on(self.context))

        return asyncio.run(run())

    def end(self, error: BaseException) -> BaseException | None:
        """
        Run a handler that raises, and return what the wrapped handler raised.
        """

        async def handler(request: Any, call: CallContext) -> None:
            raise error

        try:
            self.run_wrapped(handler)
        except BaseException as raised:  # the test compares it
            return raised
        return None

    def test_reply_is_returned(self) -> None:
        """
        A handler that returns ends its call with its reply.
        """

        async def handler(request: Any, call: CallContext) -> bytes:
            return bytes(reversed(request))

        self.assertEqual(self.run_wrapped(handler), b"cba")

    def test_expected_errors_abort_with_their_code(self) -> None:
        """
        A registry error becomes its status, with its details in the trailing metadata.
        """
        self.assertIsInstance(self.end(errors.UnknownModel("m")), Aborted)
        self.assertEqual(self.context.aborts, [(grpc.StatusCode.NOT_FOUND, str(errors.UnknownModel("m")))])
        self.assertEqual([key for key, _ in self.context.trailing], ["x-request-id", "grpc-status-details-bin"])

    def test_client_that_left(self) -> None:
        """
        A call that is cancelled, or breaks while something is sent, ends as cancelled and is not an incident.
        """
        for error in (asyncio.CancelledError(), grpc.aio.InternalError("ExecuteBatchError")):
            self.assertIsInstance(self.end(error), asyncio.CancelledError)
            self.assertEqual(self.context.aborts, [])

    def test_client_that_reads_nothing(self) -> None:
        """
        A call whose status gRPC does not take, because a message still waits, ends as cancelled.
        """

        class StalledContext(FakeContext):
            async def abort(self, code: grpc.StatusCode, text: str, trailing: Any = ()) -> NoReturn:
                raise grpc.aio.InternalError("ExecuteBatchError")

        self.context = StalledContext()
        self.assertIsInstance(self.end(errors.Unavailable("stopped")), asyncio.CancelledError)

    def test_unexpected_errors_are_incidents(self) -> None:
        """
        Any other error is INTERNAL, and is logged with the id of the request.
        """
        self.end(ZeroDivisionError())
        ((code, text),) = self.context.aborts
        self.assertEqual(code, grpc.StatusCode.INTERNAL)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertRegex(text, "incident [0-9a-f]{12}")
