"""
Settings of the web edge, and of what it shows.
"""

import re
from collections.abc import Sequence

from attrs import frozen

from twisted_registry.config.network import bracketed
from twisted_registry.config.setting import setting
from twisted_registry.config.values import INTERFACE, ValueType, whole

_MODELS_MAX = 100


def _parse_models(text: str) -> tuple[str, ...]:
    models = tuple(dict.fromkeys(each.strip() for each in text.split(",")))
    if len(models) > _MODELS_MAX or not all(re.fullmatch(r"[^\x00-\x1f\x7f]{1,200}", each) for each in models):
        raise ValueError(text)
    return models


_MODELS = ValueType("list", f"up to {_MODELS_MAX} ids of models, separated by commas", _parse_models)


@frozen
class WebSettings:
    """
    Settings of the web edge: HTTP for calls in JSON, metrics and probes.

    Attributes:
        port: the TCP port; 0 picks a free one, ``None`` for none.
        interface: an address, without brackets, or a host name.
    """

    port: int | None = setting(
        "http-port",
        whole(0, 65535),
        "TCP port for HTTP: calls in JSON below /api/v1, and /metrics, /livez, /readyz and /version; 0 picks a free "
        "port, which is logged",
        None,
        "none",
    )
    interface: str = setting(
        "http-interface", INTERFACE, "address to listen on for HTTP; another one needs --insecure", "127.0.0.1"
    )

    @property
    def host(self) -> str:
        """
        The interface as it is written before a port.
        """
        return bracketed(self.interface)


@frozen
class MetricsSettings:
    """
    Settings of the metrics, which --http-port serves.

    Attributes:
        models: the ids of the models that have separate metrics.
    """

    models: Sequence[str] = setting(
        "metrics-models",
        _MODELS,
        "models with separate metrics, such as their latest version; the others are only counted together",
        (),
        "none",
    )
