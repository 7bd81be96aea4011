"""
Names under which the server may be asked, and the sites whose pages may ask it.

A page of the Internet whose name suddenly resolves to this machine could otherwise make a user's browser send requests
here, and read the answers.  An address in place of a name cannot be resolved to another one.
"""

from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from ipaddress import ip_address
from urllib.parse import urlsplit

from twisted_registry.web.requests import BoundedRequest

_READING = (b"GET", b"HEAD", b"OPTIONS")
_OWN_SITE = ("same-origin", "none")

_WRONG_HOST = (
    "ask this server by its address, as localhost, by a name in its certificate, or by a name of --http-names; the "
    "name in X-Forwarded-Host does not count"
)
_OTHER_SITE = "a page of another site may change nothing here; if this is your proxy's name, add it to --http-names"


class HostNames:
    """
    The names under which a server may be asked.  Addresses always may be used.
    """

    def __init__(self, names: Iterable[str] = (), certificate: Callable[[], Sequence[str]] = lambda: ()) -> None:
        """

        Args:
            names: the names.
            certificate: returns those in the certificate that is in force.  They may begin with ``*.``.
        """
        self._names = frozenset(map(_normal, names))
        self._certificate = certificate

    def accept(self, host: str) -> bool:
        """
        Return whether the server may be asked as this host.

        Args:
            host: a name or an address, without a port.
        """
        name = _normal(host)
        return name == "localhost" or _is_address(name) or self.have(name)

    def have(self, host: str) -> bool:
        """
        Return whether a name is one of them.
        """
        name = _normal(host)
        return bool(name) and (name in self._names or self._is_in_certificate(name))

    def _is_in_certificate(self, name: str) -> bool:
        _, dot, parent = name.partition(".")
        names = map(_normal, self._certificate())
        return any(each == name or (dot and each == f"*.{parent}") for each in names)

    def refuse(self, request: BoundedRequest) -> bool:
        """
        Answer a request that no client of this server would make, and return whether that was done.
        """
        if not self.accept(request.getRequestHostname().decode("latin-1")):
            request.reply(HTTPStatus.MISDIRECTED_REQUEST, _WRONG_HOST)
        elif request.method not in _READING and not self._is_own(request):
            request.reply(HTTPStatus.FORBIDDEN, _OTHER_SITE)
        else:
            return False
        request.finish()
        return True

    def _is_own(self, request: BoundedRequest) -> bool:
        """
        Return whether a request was not made by a page of another site, another port of this host included.
        """
        site, origin = request.header("sec-fetch-site"), request.header("origin")
        if site is not None:  # browsers do not let pages set it
            return site in _OWN_SITE
        if origin is None:  # this is not a browser
            return True
        parts = urlsplit(origin)
        return bool(parts.netloc) and (parts.netloc == request.header("host") or self.have(parts.hostname or ""))


def _normal(host: str) -> str:
    return host.lower().removesuffix(".")


def _is_address(host: str) -> bool:
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
