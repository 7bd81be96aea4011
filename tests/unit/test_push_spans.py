"""
Tests for ``twisted_registry.application.push_spans``.
"""

from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from tests.support.spans import Traces, attributes_of
from twisted_registry.application.push_spans import PushSpans
from twisted_registry.contracts.tracing import TracedCall
from twisted_registry.domain.models import VersionInfo
from twisted_registry.observability.tracing import Tracer

INFO = VersionInfo("walker", 7, 1_000, archived=False, sha256="", size_bytes=3, metadata={})
OTHER = evolve(INFO, model_id="runner")
NEXT = evolve(INFO, version_number=8)


class PushSpansTests(SynchronousTestCase):
    """
    The spans of pushes.
    """

    def setUp(self) -> None:
        """
        Create versions in a call.
        """
        self.traces = Traces()
        tracer = Tracer(self.traces.provider)
        call = tracer.begin_call(TracedCall("tests.Tests", "Create", "ipv4:10.0.0.1:5000", 1))
        for info in (INFO, OTHER, NEXT):
            call.created(info)
        self.pushes = PushSpans(tracer)

    def ended(self) -> list[tuple[Any, ...]]:
        """
        Return the pushes that have ended: model, number, subscribers, and how many were sent the version.
        """
        names = ("model.id", "version.number", "subscribers", "sent")
        found = [attributes_of(span) for span in self.traces.ended()]
        return [tuple(each[f"twisted_registry.{name}"] for name in names) for each in found]

    def test_all_were_sent_it(self) -> None:
        """
        A push ends when the last subscriber was sent the version.
        """
        self.pushes.begin(INFO, 2)
        self.pushes.begin(OTHER, 1)
        self.pushes.sent("walker", 7)
        self.assertEqual(self.ended(), [])
        self.pushes.sent("walker", 7)
        self.assertEqual(self.ended(), [("walker", 7, 2, 2)])

    def test_next_version(self) -> None:
        """
        The next version ends the push of one that slow subscribers were not sent, and another one does not count.
        """
        self.pushes.begin(INFO, 2)
        self.pushes.sent("walker", 7)
        self.pushes.begin(NEXT, 2)
        self.pushes.sent("walker", 7)
        self.pushes.sent("walker", 6)
        self.assertEqual(self.ended(), [("walker", 7, 2, 1)])

    def test_end(self) -> None:
        """
        A push ends if its subscribers leave, and all end when the registry stops.
        """
        self.pushes.begin(INFO, 2)
        self.pushes.end("walker")
        self.pushes.begin(NEXT, 2)
        self.pushes.begin(OTHER, 1)
        self.pushes.end_all()
        self.pushes.end_all()
        self.assertEqual(self.ended(), [("walker", 7, 2, 0), ("walker", 8, 2, 0), ("runner", 7, 1, 0)])

    def test_untraced_version(self) -> None:
        """
        A version that was created before has no push.
        """
        self.pushes.begin(evolve(INFO, version_number=9), 2)
        self.pushes.sent("walker", 9)
        self.pushes.end_all()
        self.assertEqual(self.ended(), [])
