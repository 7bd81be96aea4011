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


def _parse_names(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(each.strip().lower() for each in text.split(",")))
    if not all(re.fullmatch(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?", each) for each in names):
        raise ValueError(text)
    return names


_NAMES = ValueType("list", "host names without ports, separated by commas", _parse_names)

_MODELS = ValueType("list", f"up to {_MODELS_MAX} ids of models, separated by commas", _parse_models)


@frozen
class WebSettings:
    """
    Settings of the web edge: HTTP for calls in JSON, metrics and probes.

    Attributes:
        port: the TCP port; 0 picks a free one, ``None`` for none.
        interface: an address, without brackets, or a host name.
        names: further names under which clients may ask.
    """

    port: int | None = setting(
        "http-port",
        whole(0, 65535),
        "TCP port for HTTP, or for HTTPS with --tls-certificate: a page for browsers, calls in JSON below /api/v1, and "
        "/metrics, /livez, /readyz and /version; 0 picks a free port, which is logged",
        None,
        "none",
    )
    interface: str = setting(
        "http-interface",
        INTERFACE,
        "address to listen on for HTTP; another one needs TLS and access control, or --insecure",
        "127.0.0.1",
    )
    names: Sequence[str] = setting(
        "http-names",
        _NAMES,
        "names under which clients may ask by HTTP, in addition to addresses, localhost and the names in "
        "--tls-certificate: those that a proxy passes on, for example",
        (),
        "none",
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
