"""
From statuses to errors, where a server tells nothing but a code and a text.
"""

import inspect

import grpc
import grpc.aio
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.test_status import EXAMPLES
from twisted_registry import errors
from twisted_registry.client._calls.errors import error_of
from twisted_registry.rpc.status import details_of, status_of

CODE = grpc.StatusCode


def failed(code: grpc.StatusCode, text: str, *metadata: tuple[str, str | bytes]) -> grpc.aio.AioRpcError:
    """
    Make the error that gRPC raises.
    """
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*metadata), text, None)


class ErrorTests(SynchronousTestCase):
    """
    Every status is an error of the taxonomy.
    """

    def test_errors_of_this_server(self) -> None:
        """
        What this project's server raises arrives as what it was, with the same text.
        """
        for error, _, _ in EXAMPLES:
            code, text = status_of(error)
            arrived = error_of(failed(code, text, *details_of(error, code, text)), "host:1", "other", 1)
            self.assertEqual((type(arrived), str(arrived)), (type(error), str(error)))

    def test_errors_of_other_servers(self) -> None:
        """
        Without details the code tells, and what was asked for.
        """
        cases: list[tuple[grpc.StatusCode, int | None, errors.RegistryError]] = [
            (CODE.NOT_FOUND, None, errors.UnknownModel("m")),
            (CODE.NOT_FOUND, 3, errors.UnknownVersion("m", 3)),
            (CODE.DATA_LOSS, None, errors.CorruptModel("m", "no")),
            (CODE.DATA_LOSS, 3, errors.CorruptVersion("m", 3, "no")),
            (CODE.INVALID_ARGUMENT, None, errors.InvalidRequest("no")),
            (CODE.OUT_OF_RANGE, None, errors.InvalidRequest("no")),
            (CODE.ABORTED, None, errors.ModelReplaced("m")),
            (CODE.RESOURCE_EXHAUSTED, None, errors.TooLarge("no")),
            (CODE.FAILED_PRECONDITION, None, errors.StorageReadOnly("no")),
            (CODE.DEADLINE_EXCEEDED, None, errors.DeadlineExceeded("no")),
            (CODE.UNAUTHENTICATED, None, errors.NotAuthenticated("no")),
            (CODE.PERMISSION_DENIED, None, errors.NotPermitted("no")),
            (CODE.UNIMPLEMENTED, None, errors.Unsupported("no")),
            (CODE.INTERNAL, None, errors.IncidentReported("no")),
        ]
        for code, selector, expected in cases:
            arrived = error_of(failed(code, "no"), "host:1", "m", selector)
            self.assertEqual((type(arrived), str(arrived)), (type(expected), str(expected)))

    def test_lost_connections(self) -> None:
        """
        A lost connection is Unavailable, under whatever code gRPC reports it, and names the address.
        """
        resets = [(code, "Socket closed") for code in (CODE.UNAVAILABLE, CODE.UNKNOWN, CODE.CANCELLED)]
        for code, text in [*resets, (CODE.INTERNAL, "Received RST_STREAM with error code 2")]:
            arrived = error_of(failed(code, text), "host:1", "m", None)
            self.assertIs(type(arrived), errors.Unavailable)
            self.assertIn("host:1", str(arrived))

    def test_no_connection(self) -> None:
        """
        Where there was no connection to lose, the error says that nothing was sent.
        """
        text = "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: Connection refused"
        arrived = error_of(failed(CODE.UNAVAILABLE, text), "host:1", "m", None)
        self.assertIs(type(arrived), errors.Unreachable)
        self.assertIn("Connection refused", str(arrived))

    def test_no_status_is_left_out(self) -> None:
        """
        Whatever code gRPC has, some error stands for it, with a text.
        """
        for code in CODE:
            for selector in (None, 1):
                self.assertTrue(str(error_of(failed(code, ""), "host:1", "m", selector)))

    def test_every_error_says_what_to_do(self) -> None:
        """
        Each error that only a client knows of has a text with its facts.
        """
        only_here = [
            kind
            for _, kind in inspect.getmembers(errors, inspect.isclass)
            if issubclass(kind, errors.RegistryError) and kind is not errors.RegistryError
        ]
        for kind in only_here:
            facts = dict.fromkeys(inspect.signature(kind).parameters, "fact")
            for number in ("version_number", "selector", "declared_bytes", "received_bytes"):
                if number in facts:
                    facts[number] = 7  # type: ignore[assignment]
            if "idle_seconds" in facts:
                facts["idle_seconds"] = 7.0  # type: ignore[assignment]
            self.assertTrue(str(kind(**facts)))
