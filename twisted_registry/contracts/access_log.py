"""
The contract of the access log: what the edge reports of a call that gets a line.
"""

from attrs import define
from zope.interface import Attribute, Interface


@define(eq=False)
class CallRecord:
    """
    The facts about a call that the access log has.

    Attributes:
        method: the full name of the method, such as ``/twisted_registry.v1.Registry/GetModel``.
        peer: the connection that it came on, as gRPC names it.
        request_id: the id of the call.
        identity: who made it: the kind of the credential and the name, such as ``token:trainer``; empty if that is not
            known.
        token_id: the public part of the token; empty for other credentials.
        model_id: the model that it is about; empty if it is not about a single one, or did not get so far.
        reference: the reference to the version that it is about, such as ``policy@production``; empty if there is none.
        version_number: the version that it has changed; 0 if there is none.
        is_sampled: whether it was chosen before it began, with the share of calls that the settings name.
        code: the name of its status, such as ``OK``; empty while the call goes on.
        reason: the name of the error that it failed with, such as ``UNKNOWN_MODEL``; empty unless it did.
        seconds: how long it took.
        received_bytes: the length of the messages of its request.
        sent_bytes: the length of the messages of its reply; ``None`` if they were not counted.
        sent_messages: how many messages it sent, if it may send any number; ``None`` if it may not, or if they were not
            counted.
    """

    method: str
    peer: str
    request_id: str
    identity: str
    token_id: str
    model_id: str
    reference: str
    version_number: int
    is_sampled: bool
    code: str = ""
    reason: str = ""
    seconds: float = 0.0
    received_bytes: int = 0
    sent_bytes: int | None = None
    sent_messages: int | None = None


class IAccessLog(Interface):
    """
    The access log.  Used in the thread of the server's event loop.
    """

    slow_seconds: float = Attribute("Calls with one reply that take this long get a line, also if not chosen.")

    def chooses() -> bool:
        """
        Return whether the call that begins gets a line, however it ends.
        """

    def write(record: CallRecord) -> None:
        """
        Add a line, without waiting.

        Args:
            record: the call.
        """

    def report_missing(count: int) -> None:
        """
        Add a line about failed and slow calls that get none, because there were too many at once.

        Args:
            count: how many.
        """
