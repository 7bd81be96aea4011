"""
Addresses of a registry.
"""

import ipaddress
import re
from urllib.parse import unquote

from attrs import frozen

DEFAULT_ADDRESS = "localhost:9000"

_HOST_AND_PORT = re.compile(r"(?P<host>\[[^\[\]\s]+\]|[^:/?#@,%\\\[\]\s\x00-\x1f\x7f]+):(?P<port>[0-9]{1,5})")
_SOCKET = re.compile(r"unix:(?!//[^/])(//)?(?P<path>\S+)|unix-abstract:(?P<name>\S+)")
_HOSTS = re.compile(r"(?P<scheme>dns|ipv4|ipv6):(//(?P<authority>[^/\s]*)/|/*)(?P<hosts>[^/\s]+)")
_OTHERS = re.compile(r"(vsock|xds):\S*[^\s0-9]\S*")
"""
Other targets that gRPC knows: https://github.com/grpc/grpc/blob/master/doc/naming.md.  ``vsock:1`` is a host and a
port.
"""

_MAX_SOCKET_BYTES = 107
"""The system's limit for the path of a socket."""


@frozen
class Address:
    """
    An address of a registry.

    Attributes:
        target: the address in gRPC's form.
        is_loopback: whether it can only lead to this machine.
        hosts: the hosts and ports that it names; empty for other kinds of address.
    """

    target: str
    is_loopback: bool
    hosts: tuple[tuple[str, int], ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Address":
        """
        Parse an address.

        Raises:
            ValueError: it is not an address; gRPC would report an unreachable server, or choose a port itself.
        """
        found = _HOST_AND_PORT.fullmatch(text)
        if found is not None and found["host"] != "unix":
            # The scheme is added, because gRPC would take a host named 'dns' or 'ipv4' for a scheme.  It
            # quotes what needs quoting.
            is_plain = text.isascii() and "%" not in text
            host = _host(found, text)
            return cls(f"dns:///{text}" if is_plain else text, _is_loopback(host), ((host, int(found["port"])),))
        if socket := _SOCKET.fullmatch(text):
            return cls(_checked_socket(text, socket["path"] or socket["name"]), True)
        if listed := _HOSTS.fullmatch(text):
            hosts = _hosts(listed, text)
            # The name server that an address names may answer with any host.
            is_local = not listed["authority"] and all(_is_loopback(host) for host, _ in hosts)
            return cls(text, is_local, hosts)
        if _OTHERS.fullmatch(text):
            return cls(text, False)
        raise _not_an_address(text)


def _not_an_address(text: str) -> ValueError:
    return ValueError(
        f"{text[:200]!r} is not an address: use HOST:PORT, such as {DEFAULT_ADDRESS}, or unix:PATH for a socket"
    )


def _host(found: re.Match[str], text: str) -> str:
    """
    Return the host of a matched host and port.

    Raises:
        ValueError: the port is out of range, or the IPv6 address is malformed.
    """
    host = found["host"]
    if host.startswith("["):
        host = unquote(host[1:-1]).partition("%")[0]
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            raise _not_an_address(text) from None
    if not 0 < int(found["port"]) < 2**16:
        raise _not_an_address(text)
    return host


def _hosts(listed: re.Match[str], text: str) -> tuple[tuple[str, int], ...]:
    hosts = []
    for each in unquote(listed["hosts"]).split("," if listed["scheme"] != "dns" else None):
        found = _HOST_AND_PORT.fullmatch(each)
        if found is None:
            raise _not_an_address(text)
        host = _host(found, text)
        if listed["scheme"] != "dns":
            _check_number(host, text)
        hosts.append((host, int(found["port"])))
    return tuple(hosts)


def _check_number(host: str, text: str) -> None:
    """
    Check the host of an address whose scheme takes only IP addresses.

    Raises:
        ValueError: the host is a name.
    """
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise _not_an_address(text) from None


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.lower().removesuffix(".") == "localhost"
    mapped = getattr(address, "ipv4_mapped", None) or address
    # A connection to the unspecified address leads to this machine.
    return bool(mapped.is_loopback or mapped.is_unspecified)


def _checked_socket(text: str, path: str) -> str:
    if len(unquote(path).encode()) > _MAX_SOCKET_BYTES:
        raise ValueError(f"the path of a socket may have at most {_MAX_SOCKET_BYTES} bytes: {text[:200]!r}")
    return text
