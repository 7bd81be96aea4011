"""
The traces of the daemon.  Without ``--traces`` OpenTelemetry is not imported.
"""

import os
import threading
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from twisted_registry.config.tracing import TracingSettings
from twisted_registry.contracts.archive import IArchive
from twisted_registry.contracts.observation import ISyncReporter
from twisted_registry.contracts.tracing import ITracer, note_part
from twisted_registry.domain.errors import CannotStart

if TYPE_CHECKING:
    from twisted_registry.observability.trace_export import TraceExport

_log = Logger()

_FLUSH_SECONDS = 5.0
"""How long the last spans may take to be sent when the daemon stops."""


def _import() -> Any:
    try:
        from twisted_registry.observability import trace_export, tracing
    except ImportError as error:
        raise CannotStart(f"--traces needs OpenTelemetry ({error}): pip install 'twisted-registry[tracing]'") from None
    except ValueError as error:  # some variables are read by the import
        raise CannotStart(f"a variable of OpenTelemetry cannot be used: {error}") from None
    return trace_export, tracing


def check_tracing(settings: TracingSettings) -> None:
    """
    Check that calls can be traced, if that is asked for.

    Raises:
        CannotStart: OpenTelemetry is not installed, or its variables ask for what the registry lacks.
    """
    if settings.is_on:
        _import()[0].check_variables(os.environ)


class DaemonTracing:
    """
    The tracing of the daemon.

    Attributes:
        tracer: traces calls.
    """

    def __init__(self, reactor: Any, export: "TraceExport", tracer: ITracer, flush_seconds: float = _FLUSH_SECONDS):
        self._reactor = reactor
        self._export = export
        self._flush_seconds = flush_seconds
        self.tracer = tracer

    def start(self, archive: IArchive) -> None:
        """
        Begin to send traces, and to record the syncs of an archive.
        """
        if ISyncReporter.providedBy(archive):
            ISyncReporter(archive).report_syncs(lambda seconds: note_part("fsync", seconds))
        self._export.start()

    def stop(self) -> "Deferred[None]":
        """
        Send the last traces.

        Returns:
            Fires when they are sent, or after some seconds.
        """
        done: Deferred[None] = Deferred()

        def end(is_sent: bool) -> None:
            if not done.called:
                timer.cancel() if timer.active() else None
                if not is_sent:
                    _log.warn("the last traces were not sent within {seconds:g} s", seconds=self._flush_seconds)
                done.callback(None)

        def close() -> None:
            try:
                self._export.close()
            finally:
                self._reactor.callFromThread(end, True)

        timer = self._reactor.callLater(self._flush_seconds, end, False)
        # Not a thread of a pool: the daemon does not wait for this one.
        threading.Thread(target=close, name="trace-flush", daemon=True).start()
        return done


def make_tracing(reactor: Any, settings: TracingSettings) -> DaemonTracing | None:
    """
    Return the tracing that the settings ask for; ``None`` for none.
    """
    if not settings.is_on:
        return None
    trace_export, tracing = _import()
    if trace_export.is_disabled(os.environ):
        _log.info("OTEL_SDK_DISABLED is set: calls are not traced")
        return None
    export = trace_export.TraceExport()
    return DaemonTracing(reactor, export, tracing.Tracer(export.provider))
