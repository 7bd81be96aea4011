"""
Facts about the table from errors to gRPC codes.
"""

import inspect

import grpc
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.domain import errors
from twisted_registry.rpc.status import CODES, status_of

INVALID = grpc.StatusCode.INVALID_ARGUMENT
EXAMPLES = [
    (errors.InvalidRequest("bad"), INVALID, ["bad"]),
    (errors.InvalidModelId("a\0", "no"), INVALID, ["'a\\x00'", "no"]),
    (errors.SizeMismatch(3, 4), INVALID, ["3", "4"]),
    (errors.HashMismatch("abc=", "def="), INVALID, ["abc=", "def="]),
    (errors.UnknownModel("m"), grpc.StatusCode.NOT_FOUND, ["'m'", "CreateOrUpdateModel"]),
    (errors.UnknownVersion("m", 0), grpc.StatusCode.NOT_FOUND, ["'m'", "numbers start at 1", "-1 is the latest"]),
    (errors.ModelReplaced("m"), grpc.StatusCode.ABORTED, ["'m'", "again"]),
    (errors.TooLarge("too large"), grpc.StatusCode.RESOURCE_EXHAUSTED, ["too large"]),
    (errors.Overloaded("no room"), grpc.StatusCode.RESOURCE_EXHAUSTED, ["no room"]),
    (errors.Stalled(60.0), grpc.StatusCode.DEADLINE_EXCEEDED, ["60 s", "send it again"]),
    (errors.NumbersExhausted("m"), grpc.StatusCode.RESOURCE_EXHAUSTED, ["'m'"]),
    (errors.NumberTaken("m", 3, 7), grpc.StatusCode.ABORTED, ["'m'", "version 3", "create the version again"]),
    (errors.StorageFull("no space"), grpc.StatusCode.RESOURCE_EXHAUSTED, ["no space", "make room"]),
    (errors.StorageReadOnly("read-only"), grpc.StatusCode.FAILED_PRECONDITION, ["read-only"]),
    (errors.ArchiveMoved("gone"), grpc.StatusCode.FAILED_PRECONDITION, ["gone", "put its directory or mount back"]),
    (
        errors.ArchiveChanged("one", "other"),
        grpc.StatusCode.FAILED_PRECONDITION,
        ["'one'", "'other'", "--archive-dir", "new client"],
    ),
    (errors.StorageFailure("I/O error"), grpc.StatusCode.UNAVAILABLE, ["I/O error"]),
    (errors.StorageUnavailable("stale", "version 3 of 'm'"), grpc.StatusCode.UNAVAILABLE, ["stale", "3", "try again"]),
    (errors.TooManyOpenFiles("too many"), grpc.StatusCode.UNAVAILABLE, ["too many", "ulimit -n", "LimitNOFILE"]),
    (errors.CommitUncertain("I/O error"), grpc.StatusCode.UNAVAILABLE, ["I/O error"]),
    (errors.Unavailable("starting"), grpc.StatusCode.UNAVAILABLE, ["starting"]),
    (errors.CorruptModel("m", "garbage"), grpc.StatusCode.DATA_LOSS, ["'m'", "garbage"]),
    (errors.CorruptVersion("m", 3, "garbage"), grpc.StatusCode.DATA_LOSS, ["'m'", "3", "garbage"]),
]

NEVER_SENT = {errors.RegistryError, errors.ArchiveTaken, errors.CannotStart}
"""The base class, and the errors that end a daemon, not a call."""


class StatusTests(SynchronousTestCase):
    """
    Each error has a code that says whose fault it is, and a text that says what to do.
    """

    def test_each_error_has_its_code_and_says_its_facts(self) -> None:
        """
        The table, row by row.
        """
        for error, code, said in EXAMPLES:
            found, text = status_of(error)
            self.assertEqual(found, code, error)
            for part in said:
                self.assertIn(part, text)

    def test_the_table_is_complete(self) -> None:
        """
        Every error a call can end with is in the table, and has a row above.
        """
        classes = (found for _, found in inspect.getmembers(errors, inspect.isclass))
        taxonomy = {found for found in classes if found.__module__ == errors.__name__}
        self.assertEqual(taxonomy - set(CODES), NEVER_SENT)
        self.assertEqual({type(error) for error, _, _ in EXAMPLES}, set(CODES))

    def test_texts_are_short_whatever_was_sent(self) -> None:
        """
        A text has at most a kilobyte, in whatever script.
        """
        for error in (errors.UnknownModel("m" * 10_000), errors.InvalidRequest("😀" * 1000)):
            self.assertLessEqual(len(status_of(error)[1].encode()), 1024)

    def test_a_bug_is_logged_and_the_caller_gets_the_incident_alone(self) -> None:
        """
        What nobody foresaw is INTERNAL; its text holds the incident's id and nothing of the error.
        """
        code, text = status_of(ZeroDivisionError("secret"))
        self.assertEqual(code, grpc.StatusCode.INTERNAL)
        self.assertNotIn("secret", text)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
