"""
A small collector of traces: OTLP over HTTP, in threads of the test.
"""

import threading
from collections.abc import Iterable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from attrs import frozen
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.support.daemon import wait_until

_SERVER, _CLIENT, _PRODUCER = 2, 3, 4
KINDS = {0: "unspecified", 1: "internal", _SERVER: "server", _CLIENT: "client", _PRODUCER: "producer", 5: "consumer"}


@frozen
class CollectedSpan:
    """
    A span as it was received.

    Attributes:
        service: the program that has sent it.
        parent_id: empty for the first span of a trace.
        links: the trace and span ids of other spans.
        is_error: whether its status is an error.
    """

    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: Mapping[str, Any]
    links: Sequence[tuple[str, str]]
    is_error: bool
    began_ns: int
    ended_ns: int


def _values(pairs: Iterable[Any]) -> Mapping[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


def _spans(request: Any) -> Iterable[CollectedSpan]:
    for resource in request.resource_spans:
        service = _values(resource.resource.attributes)["service.name"]
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield CollectedSpan(
                    service,
                    span.name,
                    KINDS[span.kind],
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    _values(span.attributes),
                    [(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
                    span.status.code == span.status.STATUS_CODE_ERROR,
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                )


class Collector:
    """
    The collector.

    Attributes:
        endpoint: the value of ``OTEL_EXPORTER_OTLP_ENDPOINT``.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spans: list[CollectedSpan] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            """
            One request.
            """

            def do_POST(self) -> None:
                """
                Take spans.
                """
                body = self.rfile.read(int(self.headers["content-length"]))
                collector._add(ExportTraceServiceRequest.FromString(body))
                reply = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, format: str, *args: Any) -> None:
                """
                Log nothing.
                """

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def _add(self, request: Any) -> None:
        with self._lock:
            self._spans.extend(_spans(request))

    def close(self) -> None:
        """
        Stop it.
        """
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def spans(self, name: str = "", service: str = "") -> list[CollectedSpan]:
        """
        Return the spans that were received so far.

        Args:
            name: the end of their names.
            service: of which program; empty for all.
        """
        with self._lock:
            return [each for each in self._spans if each.name.endswith(name) and service in ("", each.service)]

    def wait_for(self, name: str, count: int = 1) -> list[CollectedSpan]:
        """
        Wait until so many spans have arrived.
        """

        def found() -> list[CollectedSpan]:
            spans = self.spans(name)
            return spans if len(spans) >= count else []

        return wait_until(found, f"{count} spans {name!r}")
