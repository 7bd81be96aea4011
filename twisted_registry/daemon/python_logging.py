"""
The lines of libraries that use Python's logging, such as gRPC and asyncio, in the log of the daemon.

Without this, Python prints them to stderr, each line of a traceback would become a line of the log, and in JSON nothing
would say whose they are.
"""

import logging
import threading

from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

_log = Logger(namespace="threading")

_LEVELS = (
    (logging.CRITICAL, LogLevel.critical),
    (logging.ERROR, LogLevel.error),
    (logging.WARNING, LogLevel.warn),
    (logging.INFO, LogLevel.info),
)


def _is_about_a_caller(record: logging.LogRecord) -> bool:
    """
    Return whether a record of gRPC is about what a caller did: left while its reply was sent, or sent metadata that
    are not UTF-8.  gRPC quotes those, and they may be credentials.  Bugs of the registry have their own lines.
    """
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    is_of_grpc = isinstance(error, UnicodeDecodeError) or type(error).__module__.startswith("grpc.")
    return is_of_grpc and record.name.startswith("grpc.")


class TwistedHandler(logging.Handler):
    """
    A handler that passes records on to Twisted's log, under the name of their logger.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """
        Pass on a record.
        """
        if _is_about_a_caller(record):
            return
        try:
            text = record.getMessage()
        except Exception:  # its arguments do not fit its text
            text = str(record.msg)
        level = next((level for number, level in _LEVELS if record.levelno >= number), LogLevel.debug)
        log = Logger(namespace=record.name)
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if error is None:
            log.emit(level, "{text}", text=text)
        else:
            log.emit(level, "{text}", text=text, log_failure=Failure(error))


def _log_death(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is not None and not isinstance(ended.exc_value, SystemExit):
        name = "unknown" if ended.thread is None else ended.thread.name
        _log.failure("the thread {thread} ended", Failure(ended.exc_value), thread=name)


def use_twisted_log(root: logging.Logger) -> TwistedHandler | None:
    """
    Pass on the records of Python's loggers, and exceptions that end threads, unless the program handles them already.

    Args:
        root: the root of the loggers.

    Returns:
        the handler that was added; ``None`` if there was one.
    """
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _log_death
    if root.handlers:
        return None
    handler = TwistedHandler()
    root.addHandler(handler)
    return handler
