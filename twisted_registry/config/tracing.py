"""
Settings of the traces.
"""

from attrs import frozen

from twisted_registry.config.setting import setting
from twisted_registry.config.values import SWITCH


@frozen
class TracingSettings:
    """
    Settings of the traces.  The variables of OpenTelemetry say where they are sent, and which calls are recorded.

    Attributes:
        is_on: whether calls are traced.
        names_callers: whether the traces say who calls.
    """

    is_on: bool = setting(
        "traces",
        SWITCH,
        "trace calls with OpenTelemetry, by OTLP over HTTP, as its variables say, such as OTEL_EXPORTER_OTLP_ENDPOINT",
        False,
        "off",
    )
    names_callers: bool = setting(
        "traces-name-callers", SWITCH, "say in the traces who makes each call, with access control", False, "off"
    )
