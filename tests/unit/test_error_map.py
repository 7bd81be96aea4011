"""
Tests for ``twisted_registry.protocol.error_map``.
"""

from typing import cast

import grpc
from attrs import AttrsInstance, asdict
from google.protobuf import json_format
from google.rpc.error_details_pb2 import ErrorInfo, QuotaFailure, RetryInfo
from google.rpc.status_pb2 import Status
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.test_errors_interceptor import EXAMPLES
from twisted_registry.domain import errors
from twisted_registry.protocol import error_map
from twisted_registry.rpc.chain import details_of, status_of


def metadata_of(error: Exception) -> tuple[error_map.Metadatum, ...]:
    """
    Return the trailing metadata of a call that ends with this error.
    """
    return details_of(error, *status_of(error))


def type_and_facts(error: Exception | None) -> tuple[type, dict[str, object]]:
    """
    Return what makes two errors equal: exceptions themselves are compared by identity.
    """
    assert isinstance(error, errors.RegistryError)
    return type(error), asdict(cast("AttrsInstance", error))


class ErrorMapTests(SynchronousTestCase):
    """
    An error crosses the wire whole.
    """

    def test_each_error_is_made_again(self) -> None:
        """
        A client makes the same error from the metadata, with the same facts.
        """
        for error, _, _ in EXAMPLES:
            self.assertEqual(type_and_facts(error_map.from_metadata(metadata_of(error))), type_and_facts(error))

    def test_it_is_the_standard_message(self) -> None:
        """
        The details are a google.rpc.Status with the call's code and text, and an ErrorInfo.
        """
        error = errors.UnknownVersion("m", 7)
        ((key, value),) = metadata_of(error)
        self.assertEqual(key, "grpc-status-details-bin")
        assert isinstance(value, bytes)
        status = Status.FromString(value)
        self.assertEqual((status.code, status.message), (grpc.StatusCode.NOT_FOUND.value[0], str(error)))
        info = ErrorInfo()
        self.assertTrue(status.details[0].Unpack(info))
        self.assertEqual((info.reason, info.domain), ("UNKNOWN_VERSION", "twisted-registry"))
        self.assertEqual(dict(info.metadata), {"model_id": "m", "selector": "7"})

    def test_quota(self) -> None:
        """
        An exceeded quota has the standard details about quotas, and about the time of the next try if that helps.
        """
        for retry_after_seconds in (2.5, 0.0):
            error = errors.QuotaExceeded("q", "archive_bytes = 1", "it is full", retry_after_seconds)
            ((_, value),) = metadata_of(error)
            assert isinstance(value, bytes)
            _, second, *third = Status.FromString(value).details
            failure, retry = QuotaFailure(), RetryInfo()
            self.assertTrue(second.Unpack(failure))
            self.assertEqual([each.subject for each in failure.violations], ["q"])
            self.assertEqual([each.Unpack(retry) for each in third], [True] if retry_after_seconds else [])
            self.assertEqual(retry.retry_delay.ToNanoseconds(), retry_after_seconds * 10**9)
        self.assertIn("ask the server's operator", str(error))

    def test_endless_wait(self) -> None:
        """
        A wait that no client could see the end of is shortened to a time that JSON can express.
        """
        error = errors.QuotaExceeded("q", "bytes_per_second = 1", "it is used up", 1e300)
        ((_, value),) = metadata_of(error)
        assert isinstance(value, bytes)
        retry = RetryInfo()
        Status.FromString(value).details[2].Unpack(retry)
        self.assertRegex(json_format.MessageToDict(retry)["retryDelay"], "^[0-9]{8}s$")

    def test_subclass_of_a_provider(self) -> None:
        """
        A subclass of a known error arrives as that error.
        """

        class MyDiskFull(errors.StorageFull):
            pass

        made_again = error_map.from_metadata(metadata_of(MyDiskFull("mine")))
        self.assertEqual(type_and_facts(made_again), type_and_facts(errors.StorageFull("mine")))

    def test_facts_are_short(self) -> None:
        """
        Details take at most 4 KiB, in whatever script.
        """
        for error in (errors.InvalidModelId("😀" * 10_000, "no"), errors.HashMismatch("é" * 10_000, "x")):
            ((_, value),) = metadata_of(error)
            self.assertLessEqual(len(value), 4096)

    def test_a_bug_has_no_details(self) -> None:
        """
        An unexpected error has no details.
        """
        self.assertEqual(details_of(ZeroDivisionError("secret"), grpc.StatusCode.INTERNAL, "a bug"), ())

    def test_unknown_details_are_ignored(self) -> None:
        """
        Details from another server or another version, and bytes that are not details, are ignored.
        """
        other = Status(code=5, message="no")
        other.details.add().Pack(ErrorInfo(reason="UNKNOWN_MODEL", domain="elsewhere"))
        newer = Status(code=5, message="no")
        newer.details.add().Pack(ErrorInfo(reason="FROM_THE_FUTURE", domain=error_map.DOMAIN))
        partial = Status(code=5, message="no")
        partial.details.add().Pack(
            ErrorInfo(reason="UNKNOWN_VERSION", domain=error_map.DOMAIN, metadata={"model_id": "m", "selector": "x"})
        )
        for value in (b"\xff", *(status.SerializeToString() for status in (other, newer, partial))):
            self.assertIsNone(error_map.from_metadata([("x", "y"), (error_map.KEY, value)]))
        self.assertIsNone(error_map.from_metadata([]))
