"""
Tests for ``twisted_registry.protocol.trace_context``.
"""

from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.protocol.trace_context import creation_in, trace_context_in, valid_traceparent

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GOOD = f"00-{TRACE}-{SPAN}-01"

BAD: tuple[str | bytes, ...] = (
    "",
    "x",
    GOOD.encode(),
    GOOD.upper(),
    f" {GOOD}",
    f"{GOOD}-00",
    f"{GOOD}\n",
    f"ff-{TRACE}-{SPAN}-01",
    f"00-{32 * '0'}-{SPAN}-01",
    f"00-{TRACE}-{16 * '0'}-01",
    f"00-{TRACE[1:]}-{SPAN}-01",
    f"00-{TRACE}-{SPAN}-1",
    f"01-{TRACE}-{SPAN}-01more",
    f"01-{TRACE}-{SPAN}-01-{300 * 'a'}",
)


class TraceContextTests(SynchronousTestCase):
    """
    The context of a trace in metadata.
    """

    def test_valid(self) -> None:
        """
        A context passes; one of a later version loses what that has appended.
        """
        self.assertEqual(valid_traceparent(GOOD), GOOD)
        self.assertEqual(valid_traceparent(f"01-{TRACE}-{SPAN}-01-more"), GOOD)
        self.assertEqual(valid_traceparent(f"01-{TRACE}-{SPAN}-01"), GOOD)

    def test_invalid(self) -> None:
        """
        Whatever else is sent is ignored.
        """
        for value in BAD:
            self.assertEqual(valid_traceparent(value), "", value)
            self.assertEqual(trace_context_in([("traceparent", value), ("tracestate", "a=1")]), ("", ""), value)

    def test_last_one_counts(self) -> None:
        """
        Of two contexts the last one counts, even if it is not valid.
        """
        other = f"00-{TRACE}-{SPAN[::-1]}-00"
        self.assertEqual(trace_context_in([("traceparent", GOOD), ("traceparent", other)]), (other, ""))
        self.assertEqual(trace_context_in([("traceparent", GOOD), ("traceparent", "x")]), ("", ""))

    def test_state(self) -> None:
        """
        The further context passes if it is valid and not too long; otherwise the first one passes without it.
        """
        for states in (["a=1"], ["a=1,b@c=2", "d= e"], ["a=1,,b=2"]):
            metadata = [("traceparent", GOOD), *(("tracestate", state) for state in states)]
            self.assertEqual(trace_context_in(metadata), (GOOD, ",".join(states)))
        for state in (
            "x",
            "A=1",
            "a=1\n",
            "a=\u00e9",
            "a=b=c",
            f"a={300 * 'b'}",
            ",".join(f"k{n}=1" for n in range(33)),
        ):
            self.assertEqual(trace_context_in([("traceparent", GOOD), ("tracestate", state)]), (GOOD, ""), state)
        long = ",".join(f"key{n:09}={200 * 'v'}" for n in range(3))
        self.assertEqual(trace_context_in([("traceparent", GOOD), ("tracestate", long)]), (GOOD, ""))

    def test_creation(self) -> None:
        """
        The context of a creation is read from the trailing metadata.
        """
        self.assertEqual(creation_in([("x-request-id", "1"), ("twisted-registry-creation-traceparent", GOOD)]), GOOD)
        self.assertEqual(creation_in([("twisted-registry-creation-traceparent", "x")]), "")
        self.assertEqual(creation_in([("traceparent", GOOD)]), "")
        self.assertEqual(creation_in(None), "")
