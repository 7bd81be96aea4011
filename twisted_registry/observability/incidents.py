"""
Unexpected errors, which are bugs: one text for the log, and one for the caller.
"""

from typing import Any
from uuid import uuid4

from twisted.logger import Logger
from twisted.python.failure import Failure


def report_incident(log: Logger, failure: Failure, place: str, **facts: Any) -> str:
    """
    Log an unexpected error under an incident's id, with its traceback.

    Args:
        log: where it is logged.
        failure: the error.
        place: where it happened, in the form of the log, such as ``request {request_id}``.
        facts: the values in ``place``.

    Returns:
        The text for the caller, which has only the id.
    """
    incident = uuid4().hex[:12]
    log.failure(f"incident {{incident}} in {place}", failure, incident=incident, **facts)
    return f"a bug in the registry; its log describes it as incident {incident}"
