"""
Errors of calls as HTTP responses.
"""

import math
from http import HTTPStatus

from twisted.internet.defer import CancelledError
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_registry.contracts.calls import CallFailed
from twisted_registry.observability.incidents import report_incident
from twisted_registry.protocol.json_calls import error_to_json, retry_after_seconds
from twisted_registry.web.requests import BoundedRequest

_log = Logger()

_STATUSES = {
    "CANCELLED": 499,  # as nginx has it
    "UNKNOWN": HTTPStatus.INTERNAL_SERVER_ERROR,
    "INVALID_ARGUMENT": HTTPStatus.BAD_REQUEST,
    "DEADLINE_EXCEEDED": HTTPStatus.GATEWAY_TIMEOUT,
    "NOT_FOUND": HTTPStatus.NOT_FOUND,
    "ALREADY_EXISTS": HTTPStatus.CONFLICT,
    "PERMISSION_DENIED": HTTPStatus.FORBIDDEN,
    "RESOURCE_EXHAUSTED": HTTPStatus.TOO_MANY_REQUESTS,
    "FAILED_PRECONDITION": HTTPStatus.BAD_REQUEST,
    "ABORTED": HTTPStatus.CONFLICT,
    "OUT_OF_RANGE": HTTPStatus.BAD_REQUEST,
    "UNIMPLEMENTED": HTTPStatus.NOT_IMPLEMENTED,
    "INTERNAL": HTTPStatus.INTERNAL_SERVER_ERROR,
    "UNAVAILABLE": HTTPStatus.SERVICE_UNAVAILABLE,
    "DATA_LOSS": HTTPStatus.INTERNAL_SERVER_ERROR,
    "UNAUTHENTICATED": HTTPStatus.UNAUTHORIZED,
}
"""The HTTP status of each code, as in https://connectrpc.com/docs/protocol/#error-codes."""

JSON_TYPE = "application/json"


def failed_call(failure: Failure) -> CallFailed:
    """
    Return the error of a call.  An unexpected one is a bug: it is logged under an incident's id.
    """
    if isinstance(failure.value, CallFailed):
        return failure.value
    if failure.check(CancelledError):
        return CallFailed("CANCELLED", "the client has left")
    return CallFailed("INTERNAL", report_incident(_log, failure, "the HTTP edge"))


def write_error(request: BoundedRequest, failed: CallFailed) -> None:
    """
    Answer a request with the error of its call, in JSON.
    """
    request.setResponseCode(_STATUSES[failed.code])
    if failed.code == "UNAUTHENTICATED":
        request.setHeader(b"www-authenticate", b"Bearer")
    seconds = retry_after_seconds(failed.trailing)
    if seconds:
        request.setHeader(b"retry-after", b"%d" % math.ceil(seconds))
    write_json(request, error_to_json(failed.code, failed.text, failed.trailing))


def write_json(request: BoundedRequest, text: str) -> None:
    """
    Answer a request with JSON.
    """
    request.write_body(JSON_TYPE, text.encode())
    request.finish()
