"""
Tests of the errors for statuses, and of errors in other processes.
"""

import copy
import inspect
import pickle
import traceback
from typing import Any

import grpc
import grpc.aio
from attrs import fields
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.test_errors_interceptor import EXAMPLES
from twisted_registry.cli.advice import explain
from twisted_registry.client import errors
from twisted_registry.client._transport.status import error_of
from twisted_registry.domain import errors as domain_errors
from twisted_registry.rpc.chain import details_of, status_of

CODE = grpc.StatusCode

KINDS: list[Any] = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.RegistryError) and kind is not errors.RegistryError
]

TRACEBACK = (
    "Caught UnknownModel in DataLoader worker process 0.\n"
    "Original Traceback (most recent call last):\n"
    f'  File "train.py", line 1, in load{" " * 200}\n'
    "twisted_registry.domain.errors.UnknownModel: there is no model 'walker'\n"
)
"""The text of a worker's error in PyTorch."""


def example(kind: Any) -> errors.RegistryError:
    """
    Return an error with facts.
    """
    error: errors.RegistryError = kind(**{fact.name: fact.type(7) for fact in fields(kind)})
    return error


def failed(code: grpc.StatusCode, text: str, *metadata: tuple[str, str | bytes]) -> grpc.aio.AioRpcError:
    """
    Return an error as gRPC raises it.
    """
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*metadata), text, None)


class ErrorTests(SynchronousTestCase):
    """
    Errors for every status.
    """

    def test_errors_of_this_server(self) -> None:
        """
        An error of this project's server arrives as the same error, with the same text.
        """
        for error, _, _ in EXAMPLES:
            code, text = status_of(error)
            arrived = error_of(failed(code, text, *details_of(error, code, text)), "host:1", "other", 1)
            self.assertEqual((type(arrived), str(arrived)), (type(error), str(error)))

    def test_errors_of_other_servers(self) -> None:
        """
        Without error details, the error follows from the code and the request.
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
        If there was no connection, the error says that nothing was sent.
        """
        text = "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: Connection refused"
        arrived = error_of(failed(CODE.UNAVAILABLE, text), "host:1", "m", None)
        self.assertIs(type(arrived), errors.Unreachable)
        self.assertIn("Connection refused", str(arrived))

    def test_certificates(self) -> None:
        """
        The error for a refused certificate has the reason, the host and what to do, whatever the version of gRPC.
        """
        handshake = "SSL_ERROR_SSL: error:1000007d:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED"
        cases = {
            f"Ssl handshake failed (TSI_PROTOCOL_FAILURE): {handshake}": ("could not be verified", "root_certificates"),
            f"Tls handshake failed (TSI_PROTOCOL_FAILURE): {handshake}: certificate has expired: OK": (
                "has expired",
                "renew it",
            ),
            f"Tls handshake failed: {handshake}: unable to get local issuer certificate: OK": (
                "local issuer",
                "root_certificates, --tls-ca",
            ),
            "Peer name localhost is not in peer certificate": ("another name", "server_name"),
            "Custom verification check failed with error: UNAUTHENTICATED: Hostname Verification Check failed.": (
                "another name",
                "server_name",
            ),
        }
        for cause, (said, remedy) in cases.items():
            text = f"failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: {cause}"
            arrived = error_of(failed(CODE.UNAVAILABLE, text), "host:1", "m", None)
            self.assertIs(type(arrived), errors.CertificateRefused)
            for part in (said, "host:1", "127.0.0.1:1", remedy):
                self.assertIn(part, str(arrived))

    def test_hints(self) -> None:
        """
        If another program listens at the address, the error says what it may be.
        """
        cases = {
            "WRONG_VERSION_NUMBER": "does not speak TLS",
            "Failed to create security handshaker.": "certificates cannot be used",
            "Failed parsing HTTP/2": "speak HTTP/2",
            "Socket closed": "expect TLS",
        }
        for cause, said in cases.items():
            text = f"failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: {cause}"
            self.assertIn(said, str(error_of(failed(CODE.UNAVAILABLE, text), "host:1", "m", None)))

    def test_request_id(self) -> None:
        """
        An error has the id by which the server's logs name its call, also in its traceback.
        """
        for details in ((), details_of(errors.NotPermitted("no"), CODE.PERMISSION_DENIED, "no")):
            refused = failed(CODE.PERMISSION_DENIED, "no", ("x-request-id", "r-1"), *details)
            arrived = error_of(refused, "host:1", "m", 1)
            self.assertIsInstance(arrived, errors.NotPermitted)
            self.assertEqual(arrived.request_id, "r-1")
            self.assertIn("request r-1", "".join(traceback.format_exception(arrived)))
            self.assertIn("(request r-1)", explain(arrived))
        for hostile in ("a\nb", "x" * 65, ""):
            arrived = error_of(failed(CODE.PERMISSION_DENIED, "no", ("x-request-id", hostile)), "host:1", "m", 1)
            self.assertEqual((arrived.request_id, explain(arrived)), ("", str(arrived)))

    def test_one_module_exports_every_error(self) -> None:
        """
        A program imports whatever a client raises from ``twisted_registry.client.errors``; only the errors that end a
        daemon are missing.
        """
        shared = {
            name
            for name, found in inspect.getmembers(domain_errors, inspect.isclass)
            if issubclass(found, errors.RegistryError)
        }
        self.assertEqual(shared - set(errors.__all__), {"ArchiveTaken", "CannotStart"})
        for name in shared & set(errors.__all__):
            self.assertIs(getattr(errors, name), getattr(domain_errors, name))

    def test_no_status_is_left_out(self) -> None:
        """
        There is an error for each of gRPC's codes, with a text.
        """
        for code in CODE:
            for selector in (None, 1):
                self.assertTrue(str(error_of(failed(code, ""), "host:1", "m", selector)))

    def test_every_error_says_what_to_do(self) -> None:
        """
        Each error has a text with its facts.
        """
        for kind in KINDS:
            self.assertIn("7", str(example(kind)))


class WorkerTests(SynchronousTestCase):
    """
    Errors that leave the process in which they were raised.
    """

    def test_pickled_and_copied(self) -> None:
        """
        An error that is pickled or copied is the same error, with the same facts and the same text.
        """
        for error in map(example, KINDS):
            for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
                self.assertEqual((type(again), repr(again), str(again)), (type(error), repr(error), str(error)))

    def test_raised_again_with_the_text_of_a_traceback(self) -> None:
        """
        An error made from the text of a worker's traceback has the whole text, or cannot be made so, in which case
        PyTorch raises a ``RuntimeError``.
        """
        texts = set()
        for kind in KINDS:
            try:
                texts.add(str(kind(TRACEBACK)))
            except TypeError:
                continue
        self.assertEqual(texts, {TRACEBACK})

    def test_odd_model_ids(self) -> None:
        """
        An id with a line break is still quoted, and a long one is cut.
        """
        text = str(errors.UnknownModel("a\nb" + "c" * 1000))
        self.assertNotIn("\n", text)
        self.assertLess(len(text), 200)
