"""
Which registry the commands talk to, and how.
"""

import math
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from attrs import field, frozen

from twisted_registry.cli.errors import exit_on_error
from twisted_registry.domain.errors import RegistryError

if TYPE_CHECKING:
    from twisted_registry.client import BlockingClient

DEFAULT_ADDRESS = "localhost:9000"
DEFAULT_PATIENCE_SECONDS = 5.0
TOKEN_VARIABLE = "TWISTED_REGISTRY_TOKEN"

_SCHEMES = ("unix:", "unix-abstract:", "xds:")
"""Those of addresses that do not end with a port."""

T = TypeVar("T")

_LOOK_SECONDS = 3.0
_PAUSES_SECONDS = (0.1, 0.2, 0.4, 0.8, 0.0)
"""Between the looks for what a call has done that was interrupted: the server may still be at it."""


@frozen
class Server:
    """
    A registry.

    Attributes:
        address: ``HOST:PORT``.
        retry_seconds: how long to try while it is away.
        tls_ca: the file with the certificates of those who may have signed the registry's; ``None`` for no TLS.
        token: tells the registry who asks.
    """

    address: str = DEFAULT_ADDRESS
    retry_seconds: float = DEFAULT_PATIENCE_SECONDS
    tls_ca: str | None = None
    token: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "Server":
        """
        Give the server that a command's options mean.  The token comes from the environment alone: the arguments of a
        process can be read by others.

        Raises:
            click.UsageError: the token can be none.
        """
        token = os.environ.get(TOKEN_VARIABLE) or None
        if token is not None and not (token.isascii() and token.isprintable()):
            raise click.UsageError(f"what is in {TOKEN_VARIABLE} cannot be a token: it is not plain text in one line")
        return cls(options["server"], options["patience"], options["tls_ca"], token)

    def client(self, **times: float) -> "BlockingClient":
        """
        Make a client.

        Args:
            times: such as ``deadline_seconds``, where they are to be others.
        """
        # Here, for it takes a while: help and usage errors come without it.
        from twisted_registry.cli.retry_notice import report_retries
        from twisted_registry.client import BlockingClient, Tls

        report_retries()
        times = {"retry_seconds": self.retry_seconds, **times}
        try:
            tls = None if self.tls_ca is None else Tls(root_certificates=Path(self.tls_ca).read_bytes())
        except ValueError as error:
            raise click.UsageError(f"{error} (--tls-ca)") from None
        try:
            return BlockingClient(self.address, tls=tls, token=self.token, **times)
        except ValueError as error:
            raise click.UsageError(f"{error} (see --server, --tls-ca and {TOKEN_VARIABLE})") from None

    def poll(
        self, look: "Callable[[BlockingClient], T | None]", pause: Callable[[float], None] = time.sleep
    ) -> T | None:
        """
        Look for what a call has done that was interrupted, a few times.

        Args:
            look: returns it, or ``None`` where it is not there; it may raise ``RegistryError``.

        Returns:
            it, or ``None`` where it cannot be found.
        """
        with suppress(RegistryError), self.client(retry_seconds=0.0, deadline_seconds=_LOOK_SECONDS) as client:
            for seconds in _PAUSES_SECONDS:
                if (found := look(client)) is not None:
                    return found
                pause(seconds)
        return None


class Address(click.ParamType):  # type: ignore[type-arg]  # at run time older ones of click take none
    """
    ``HOST:PORT``, or a target with a scheme, such as ``unix:PATH``.
    """

    name = "address"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """
        Check it.  gRPC would take a port of its own choice where none is given.  The rest of what a client checks it
        checks itself: to ask it here would take a while.
        """
        host, _, port = value.rpartition(":")
        if value.startswith(_SCHEMES) or (host and port.isdecimal() and 0 < int(port) < 2**16):
            return value
        self.fail(f"{value!r} is not HOST:PORT, such as {DEFAULT_ADDRESS}", param, ctx)


class Seconds(click.FloatRange):
    """
    A number of seconds.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """
        Check it.  Not a number would be within any range.
        """
        seconds = float(super().convert(value, param, ctx))
        if math.isnan(seconds):
            self.fail(f"{value!r} is not a number of seconds", param, ctx)
        return seconds


_OPTIONS = (
    click.option(
        "--server",
        type=Address(),
        metavar="HOST:PORT",
        envvar="TWISTED_REGISTRY_SERVER",
        show_envvar=True,
        default=DEFAULT_ADDRESS,
        show_default=True,
        help="Where the registry is.",
    ),
    click.option(
        "--patience",
        type=Seconds(min=0),
        metavar="SECONDS",
        envvar="TWISTED_REGISTRY_PATIENCE",
        show_envvar=True,
        default=DEFAULT_PATIENCE_SECONDS,
        show_default=True,
        help="How long to try while it is away.",
    ),
    click.option(
        "--tls-ca",
        type=click.Path(exists=True, dir_okay=False),
        metavar="FILE",
        envvar="TWISTED_REGISTRY_TLS_CA",
        show_envvar=True,
        help="Connect by TLS, and trust whom the certificates in this PEM file have signed.",
    ),
)


def with_server(command: Callable[..., None]) -> Callable[..., None]:
    """
    Give a command the options that say which registry it talks to.  It gets a ``Server`` as ``server``, and ends well.
    """

    @wraps(command)
    def run(server: str, patience: float, tls_ca: str | None, **given: Any) -> None:
        with exit_on_error():
            command(server=Server.of({"server": server, "patience": patience, "tls_ca": tls_ca}), **given)

    wrapped: Callable[..., None] = run
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped
