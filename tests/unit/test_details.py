"""
Facts about what an error tells beside its code.
"""

from typing import cast

import grpc
from attrs import AttrsInstance, asdict
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.test_errors_interceptor import EXAMPLES
from twisted_registry.domain import errors
from twisted_registry.protocol import error_details as details
from twisted_registry.rpc.interceptors.errors import details_of, status_of


def told_of(error: Exception) -> tuple[details.Metadatum, ...]:
    """
    Give the trailing metadata of a call that ends with this error.
    """
    return details_of(error, *status_of(error))


def kind_and_facts(error: Exception | None) -> tuple[type, dict[str, object]]:
    """
    Give what makes two errors the same; as exceptions they are compared by identity.
    """
    assert isinstance(error, errors.RegistryError)
    return type(error), asdict(cast("AttrsInstance", error))


class DetailsTests(SynchronousTestCase):
    """
    An error crosses the wire whole.
    """

    def test_each_error_is_made_again(self) -> None:
        """
        A client makes the same error of what it is told, with the same facts.
        """
        for error, _, _ in EXAMPLES:
            self.assertEqual(kind_and_facts(details.from_metadata(told_of(error))), kind_and_facts(error))

    def test_it_is_the_standard_message(self) -> None:
        """
        The details are a google.rpc.Status with the call's code and text, and an ErrorInfo.
        """
        error = errors.UnknownVersion("m", 7)
        ((key, value),) = told_of(error)
        self.assertEqual(key, "grpc-status-details-bin")
        assert isinstance(value, bytes)
        status = Status.FromString(value)
        self.assertEqual((status.code, status.message), (grpc.StatusCode.NOT_FOUND.value[0], str(error)))
        info = ErrorInfo()
        self.assertTrue(status.details[0].Unpack(info))
        self.assertEqual((info.reason, info.domain), ("UNKNOWN_VERSION", "twisted-registry"))
        self.assertEqual(dict(info.metadata), {"model_id": "m", "selector": "7"})

    def test_a_kind_of_a_providers_own_is_told_as_what_it_is_a_kind_of(self) -> None:
        """
        An error derived from one of the taxonomy arrives as that one.
        """

        class DiskOfMineFull(errors.StorageFull):
            pass

        made_again = details.from_metadata(told_of(DiskOfMineFull("mine")))
        self.assertEqual(kind_and_facts(made_again), kind_and_facts(errors.StorageFull("mine")))

    def test_facts_are_short_whatever_was_sent(self) -> None:
        """
        Details take at most 4 KiB, in whatever script.
        """
        for error in (errors.InvalidModelId("😀" * 10_000, "no"), errors.HashMismatch("é" * 10_000, "x")):
            ((_, value),) = told_of(error)
            self.assertLessEqual(len(value), 4096)

    def test_a_bug_tells_nothing(self) -> None:
        """
        What nobody foresaw has no details.
        """
        self.assertEqual(details_of(ZeroDivisionError("secret"), grpc.StatusCode.INTERNAL, "a bug"), ())

    def test_what_cannot_be_read_is_passed_over(self) -> None:
        """
        Details of another server, of another version, or of none are no error of ours, and do no harm.
        """
        other = Status(code=5, message="no")
        other.details.add().Pack(ErrorInfo(reason="UNKNOWN_MODEL", domain="elsewhere"))
        newer = Status(code=5, message="no")
        newer.details.add().Pack(ErrorInfo(reason="FROM_THE_FUTURE", domain=details.DOMAIN))
        partial = Status(code=5, message="no")
        partial.details.add().Pack(
            ErrorInfo(reason="UNKNOWN_VERSION", domain=details.DOMAIN, metadata={"model_id": "m", "selector": "x"})
        )
        for value in (b"\xff", *(status.SerializeToString() for status in (other, newer, partial))):
            self.assertIsNone(details.from_metadata([("x", "y"), (details.KEY, value)]))
        self.assertIsNone(details.from_metadata([]))
