"""
The registry that the commands call, and the options that select it.
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
    from twisted_registry.client import BlockingClient, Tls

DEFAULT_ADDRESS = "localhost:9000"
DEFAULT_RETRY_SECONDS = 5.0
TOKEN_VARIABLE = "TWISTED_REGISTRY_TOKEN"

_FORMER_RETRY_FLAG = "--patience"
_FORMER_RETRY_VARIABLE = "TWISTED_REGISTRY_PATIENCE"

_SCHEMES = ("unix:", "unix-abstract:", "xds:")
"""Schemes of addresses that do not end with a port."""

T = TypeVar("T")

_POLL_DEADLINE_SECONDS = 3.0
_PAUSES_SECONDS = (0.1, 0.2, 0.4, 0.8, 0.0)
"""Pauses between polls for the outcome of an interrupted call: the server may still be working on it."""


@frozen
class Server:
    """
    A registry.

    Attributes:
        address: ``HOST:PORT``.
        retry_seconds: how long to retry while it is unreachable.
        tls_ca: the PEM file with the certificates of trusted authorities; ``None`` for those that gRPC trusts.
        token: the access token, or what reads it; ``None`` for none.
        tls: whether to connect with TLS although no file of certificates is given.
        tls_cert: the PEM file with a client certificate; ``None`` for none.
        tls_key: the PEM file with its private key.
    """

    address: str = DEFAULT_ADDRESS
    retry_seconds: float = DEFAULT_RETRY_SECONDS
    tls_ca: str | None = None
    token: "str | Callable[[], str] | None" = field(default=None, repr=False)
    tls: bool = False
    tls_cert: str | None = None
    tls_key: str | None = None

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> "Server":
        """
        Make a server from a command's options.

        The token comes from the environment, from a file, or from 'twisted-registry login': other users can read the
        arguments of a process.

        Raises:
            click.UsageError: the token is malformed, or options do not fit together.
            OSError: the tokens that are kept cannot be read.
        """
        if (options["tls_cert"] is None) != (options["tls_key"] is None):
            raise click.UsageError("--tls-cert and --tls-key go together; pass both, or neither")
        return cls(
            options["server"],
            options["retry_seconds"],
            options["tls_ca"],
            _token(options["token_file"], options["server"]),
            options["tls"],
            options["tls_cert"],
            options["tls_key"],
        )

    def client(self, **times: float) -> "BlockingClient":
        """
        Make a client.

        Args:
            times: overrides of the client's times in seconds, such as ``deadline_seconds``.

        Raises:
            click.UsageError: an option is malformed.
        """
        # Imported late: it imports gRPC, which help and usage errors do not need.
        from twisted_registry.cli.retry_notice import report_retries
        from twisted_registry.client import BlockingClient

        report_retries()
        times = {"retry_seconds": self.retry_seconds, **times}
        tls = self._tls()
        try:
            return BlockingClient(self.address, tls=tls, token=self.token, **times)
        except ValueError as error:
            raise click.UsageError(
                f"{error} (see --server, --tls, --tls-ca, {TOKEN_VARIABLE} and 'twisted-registry login')"
            ) from None

    def check_health(self, deadline_seconds: float, *, of_writes: bool = False) -> bool:
        """
        Return whether the registry is serving.  Ask once.

        Args:
            deadline_seconds: how long to wait for an answer.
            of_writes: whether to ask about writes.

        Raises:
            click.UsageError: an option is malformed.
            RegistryError: the registry cannot be reached, or does not answer.
        """
        from twisted_registry.client._transport.health import SERVICE, WRITES, check_health
        from twisted_registry.client._transport.options import Options

        tls = self._tls()
        try:
            options = Options(self.address, tls, deadline_seconds=deadline_seconds)
        except ValueError as error:
            raise click.UsageError(f"{error} (see --server)") from None
        return check_health(options, WRITES if of_writes else SERVICE)

    def _tls(self) -> "Tls | None":
        from twisted_registry.client._transport.options import Tls

        if not (self.tls or self.tls_ca or self.tls_cert):
            return None
        try:
            return Tls(_content(self.tls_ca), _content(self.tls_key), _content(self.tls_cert))
        except ValueError as error:
            raise click.UsageError(f"{error} (--tls-ca, --tls-cert and --tls-key)") from None

    def poll(
        self, find: "Callable[[BlockingClient], T | None]", pause: Callable[[float], None] = time.sleep
    ) -> T | None:
        """
        Poll for the outcome of an interrupted call, a few times.

        Args:
            find: returns the outcome, or ``None`` if it is not there; it may raise ``RegistryError``.

        Returns:
            the outcome; ``None`` if it was not found.
        """
        with suppress(RegistryError), self.client(retry_seconds=0.0, deadline_seconds=_POLL_DEADLINE_SECONDS) as client:
            for seconds in _PAUSES_SECONDS:
                if (found := find(client)) is not None:
                    return found
                pause(seconds)
        return None


def _content(path: str | None) -> bytes | None:
    return None if path is None else Path(path).read_bytes()


def _token(token_file: str | None, address: str) -> "str | Callable[[], str] | None":
    token = os.environ.get(TOKEN_VARIABLE) or None
    if token is None and token_file is None:
        return _saved_token(address)
    if token is None:
        from twisted_registry.client._transport.tokens import TokenFile

        return TokenFile(str(token_file))
    if token_file is not None:
        raise click.UsageError(f"{TOKEN_VARIABLE} and --token-file cannot be combined; unset one of them")
    if not (token.isascii() and token.isprintable()):
        raise click.UsageError(f"{TOKEN_VARIABLE} is not a token: a token is one line of plain text")
    return token


def _saved_token(address: str) -> "Callable[[], str] | None":
    from twisted_registry.client._transport.saved_tokens import SavedToken, SavedTokens

    try:
        return SavedToken(address) if SavedTokens().has(address) else None
    except (ValueError, FileNotFoundError):
        return None  # the client reports what is wrong with the address; without a home directory, no token is kept


class Address(click.ParamType):  # type: ignore[type-arg]  # at run time older versions of click take none
    """
    ``HOST:PORT``, or a target with a scheme, such as ``unix:PATH``.
    """

    name = "address"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """
        Check that an address has a port: gRPC would choose one.  The client checks the rest.
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
        Parse a number of seconds, and refuse NaN, which is within any range.
        """
        seconds = float(super().convert(value, param, ctx))
        if math.isnan(seconds):
            self.fail(f"{value!r} is not a number of seconds", param, ctx)
        return seconds


class RetryOption(click.Option):
    """
    ``--retry-seconds``, with the former names of the flag and of its variable, which no help shows.
    """

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        """
        Accept the former flag, too.
        """
        super().add_to_parser(parser, ctx)
        parser.add_option(self, [_FORMER_RETRY_FLAG], dest=self.name)

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """
        Read the variable, and the former one if it is not set.
        """
        return super().resolve_envvar_value(ctx) or os.environ.get(_FORMER_RETRY_VARIABLE) or None


_OPTIONS = (
    click.option(
        "--server",
        type=Address(),
        metavar="HOST:PORT",
        envvar="TWISTED_REGISTRY_SERVER",
        show_envvar=True,
        default=DEFAULT_ADDRESS,
        show_default=True,
        help="Address of the registry.",
    ),
    click.option(
        "--retry-seconds",
        cls=RetryOption,
        type=Seconds(min=0),
        metavar="SECONDS",
        envvar="TWISTED_REGISTRY_RETRY_SECONDS",
        show_envvar=True,
        default=DEFAULT_RETRY_SECONDS,
        show_default=True,
        help="How long to retry while the registry is unreachable; 0 tries once.",
    ),
    click.option(
        "--tls-ca",
        type=click.Path(exists=True, dir_okay=False),
        metavar="FILE",
        envvar="TWISTED_REGISTRY_TLS_CA",
        show_envvar=True,
        help="Connect with TLS, and trust the certificate authorities in this PEM file.",
    ),
    click.option(
        "--tls",
        is_flag=True,
        envvar="TWISTED_REGISTRY_TLS",
        show_envvar=True,
        help="Connect with TLS, and trust the public certificate authorities.",
    ),
    click.option(
        "--tls-cert",
        type=click.Path(exists=True, dir_okay=False),
        metavar="FILE",
        envvar="TWISTED_REGISTRY_TLS_CERT",
        show_envvar=True,
        help="Present the client certificate in this PEM file.",
    ),
    click.option(
        "--tls-key",
        type=click.Path(exists=True, dir_okay=False),
        metavar="FILE",
        envvar="TWISTED_REGISTRY_TLS_KEY",
        show_envvar=True,
        help="The private key of --tls-cert, in PEM format.",
    ),
    click.option(
        "--token-file",
        type=click.Path(dir_okay=False),
        metavar="FILE",
        envvar="TWISTED_REGISTRY_TOKEN_FILE",
        show_envvar=True,
        help="Send the access token in this file; read again when it changes.",
    ),
)

_NAMES = ("server", "retry_seconds", "tls_ca", "tls", "tls_cert", "tls_key", "token_file")
"""The names of these options, as the commands get them."""


def with_server(command: Callable[..., None]) -> Callable[..., None]:
    """
    Add the options that select a registry to a command.

    The command gets a ``Server`` as ``server``, and runs in ``exit_on_error``.
    """

    @wraps(command)
    def run(**given: Any) -> None:
        options = {name: given.pop(name) for name in _NAMES}
        with exit_on_error():
            command(server=Server.from_options(options), **given)

    wrapped: Callable[..., None] = run
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped
