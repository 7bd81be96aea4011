"""
Tests for ``twisted_registry.daemon.python_logging``.
"""

import logging

import grpc.aio
from twisted.trial.unittest import SynchronousTestCase

from tests.support.logs import LoggedLines
from twisted_registry.daemon.python_logging import TwistedHandler


class TwistedHandlerTests(SynchronousTestCase):
    """
    Records of Python's loggers in Twisted's log.
    """

    def setUp(self) -> None:
        """
        Collect what is logged.
        """
        self.lines = LoggedLines(self)

    def log(self, name: str, error: Exception, *words: object) -> None:
        """
        Log an error as a library does.
        """
        logger = logging.Logger(name)
        logger.addHandler(TwistedHandler())
        logger.error(*words, exc_info=error)

    def test_error(self) -> None:
        """
        The error of a library is passed on with its traceback.
        """
        error = ValueError("broken")
        self.log("grpc.aio", error, "it failed: %s", "badly")
        self.assertEqual(self.lines.of("grpc.aio"), ["it failed: badly"])
        self.assertEqual([failure.value for failure in self.flushLoggedErrors(ValueError)], [error])

    def test_metadata_that_are_no_text(self) -> None:
        """
        gRPC quotes metadata that are not UTF-8, and a caller's token may be in them: that stays out of the log.
        """
        value = b"Bearer secret\xff"
        try:
            value.decode()
        except UnicodeDecodeError as error:
            self.log("grpc._cython.cygrpc", error, "Invalid encoding on %s", value)
        self.assertEqual(self.lines.of("grpc"), [])

    def test_caller_that_left(self) -> None:
        """
        Errors of gRPC itself, such as that of a caller who has left, stay out of the log.
        """
        self.log("grpc._cython.cygrpc", grpc.aio.InternalError("Failed execute_batch"), "raised by servicer method")
        self.assertEqual(self.lines.of("grpc"), [])
