"""
The export of traces: OpenTelemetry's SDK, set up by its own environment variables.  Imported only if traces are asked
for.
"""

import logging
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from uuid import uuid4

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from twisted.logger import Logger

from twisted_registry import __version__
from twisted_registry.domain.errors import CannotStart
from twisted_registry.repeated_lines import RepeatedLines, more

_log = Logger()

_RECENT_SECONDS = 60.0
_TEXT_MAX_CHARACTERS = 300

_PROTOCOL = "http/protobuf"

_LIBRARIES = ("opentelemetry", "urllib3")
"""The loggers that report what goes wrong with the export."""


class ExportLog(logging.Handler):
    """
    The handler of OpenTelemetry's own log, which has a line for each batch that cannot be sent: the log of the registry
    has one at once, and then at most one a minute.
    """

    def __init__(self, now_seconds: Callable[[], float] = time.monotonic) -> None:
        """

        Args:
            now_seconds: returns the time in seconds from any fixed point.
        """
        super().__init__(logging.WARNING)
        self._now_seconds = now_seconds
        self._last_seconds = -math.inf
        self._lines = RepeatedLines(now_seconds)

    @property
    def is_recent(self) -> bool:
        """
        True if something went wrong in the last minute.
        """
        return self._now_seconds() < self._last_seconds + _RECENT_SECONDS

    def emit(self, record: logging.LogRecord) -> None:
        """
        Log a record, or count it.
        """
        self._last_seconds = self._now_seconds()
        text = " ".join(record.getMessage().split())[:_TEXT_MAX_CHARACTERS]
        # The texts differ each time, and mean the same.
        self._lines.happened(
            "export", lambda times: _log.warn("traces may be missing: {text}{more}", text=text, more=more(times))
        )

    def install(self) -> None:
        """
        Take the records of the libraries.
        """
        for name in _LIBRARIES:
            logger = logging.getLogger(name)
            logger.addHandler(self)
            logger.propagate = False

    def uninstall(self) -> None:
        """
        Leave the records of the libraries to others.
        """
        for name in _LIBRARIES:
            logger = logging.getLogger(name)
            logger.removeHandler(self)
            logger.propagate = True


def check_variables(environment: Mapping[str, str]) -> None:
    """
    Check the variables of OpenTelemetry that ask for what this registry lacks: its SDK would ignore them.

    Raises:
        CannotStart: one of them does.
    """
    exporter = environment.get("OTEL_TRACES_EXPORTER", "") or "otlp"
    if exporter not in ("otlp", "none"):
        raise CannotStart(
            f"OTEL_TRACES_EXPORTER is {exporter!r}; the registry sends traces by 'otlp', or with 'none' not"
        )
    for name in ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        protocol = environment.get(name, "")
        if protocol:
            if protocol != _PROTOCOL:
                raise CannotStart(f"{name} is {protocol!r}; the registry sends traces by {_PROTOCOL!r}, on port 4318")
            return


def is_disabled(environment: Mapping[str, str]) -> bool:
    """
    Return whether the variables turn OpenTelemetry off.
    """
    return environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def _resource() -> Resource:
    resource = Resource.create({})
    own = {"service.version": __version__, "service.instance.id": str(uuid4())}
    if str(resource.attributes.get(SERVICE_NAME, "unknown_service")).startswith("unknown_service"):
        own[SERVICE_NAME] = "twisted-registry"
    return Resource(own).merge(resource) if SERVICE_NAME not in own else resource.merge(Resource(own))


@contextmanager
def _mistakes() -> Iterator[None]:
    try:
        yield
    except ValueError as error:  # it accepts other mistakes, and logs a warning
        raise CannotStart(f"a variable of OpenTelemetry cannot be used: {error}") from None


class TraceExport:
    """
    The export of spans, in a separate thread.  If the collector is away, or slow, a bounded number of spans waits;
    further ones are dropped.

    Attributes:
        provider: the source of the tracers.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ, exporter: SpanExporter | None = None) -> None:
        """
        Make it, without threads and connections.

        Args:
            environment: the variables.
            exporter: takes the spans; ``None`` for the one that the variables describe.

        Raises:
            CannotStart: a variable has a value that OpenTelemetry does not accept.
        """
        self._sends = environment.get("OTEL_TRACES_EXPORTER", "") != "none"
        self._exporter = exporter
        self._problems = ExportLog()
        self._problems.install()
        with _mistakes():
            self.provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)

    def start(self) -> None:
        """
        Start the thread.

        Raises:
            CannotStart: a variable has a value that OpenTelemetry does not accept.
        """
        if self._sends:
            with _mistakes():
                self._exporter = self._exporter or OTLPSpanExporter()
                self.provider.add_span_processor(BatchSpanProcessor(self._exporter))

    def close(self) -> None:
        """
        Send the spans that wait, and end the thread.  Blocks, for as long as the collector takes; if it was away in
        the last minute, it is not tried again.
        """
        if self._exporter is not None and self._problems.is_recent:
            self._exporter.shutdown()
        self.provider.shutdown()
        self._problems.uninstall()
