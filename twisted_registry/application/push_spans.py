"""
The spans of pushes: each begins when a new version is announced to the subscribers of its model, and ends when all of
them were sent it.
"""

from attrs import define

from twisted_registry.contracts.tracing import ISpan, ITracer
from twisted_registry.domain.models import VersionInfo


@define
class _Push:
    """
    A push under way.

    Attributes:
        subscribers: how many are to be sent the version.
        sent: how many were.
    """

    version_number: int
    span: ISpan
    subscribers: int
    sent: int = 0

    def end(self) -> None:
        self.span.note(sent=self.sent)
        self.span.end()


class PushSpans:
    """
    The spans of the pushes under way, one for each model: the next version replaces one that has not reached all.  Used
    in the thread that runs the use cases.
    """

    def __init__(self, tracer: ITracer) -> None:
        self._tracer = tracer
        self._pushes: dict[str, _Push] = {}

    def begin(self, info: VersionInfo, subscribers: int) -> None:
        """
        Begin the push of a version.

        Args:
            subscribers: how many will be sent it.
        """
        self.end(info.model_id)
        span = self._tracer.begin_push(info, subscribers)
        if span is not None:
            self._pushes[info.model_id] = _Push(info.version_number, span, subscribers)

    def sent(self, model_id: str, version_number: int) -> None:
        """
        Record that a subscriber was sent a version.
        """
        push = self._pushes.get(model_id)
        if push is not None and push.version_number == version_number:
            push.sent += 1
            if push.sent >= push.subscribers:
                self.end(model_id)

    def end(self, model_id: str) -> None:
        """
        End the push of a model, if there is one.
        """
        push = self._pushes.pop(model_id, None)
        if push is not None:
            push.end()

    def end_all(self) -> None:
        """
        End all pushes.
        """
        for model_id in list(self._pushes):
            self.end(model_id)
