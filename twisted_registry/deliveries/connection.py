"""
Connections to the receivers of webhooks: to addresses that were checked, with certificates that were checked, and with
a limit on what they may send.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IResolutionReceiver, IStreamClientEndpoint
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.web.client import URI
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer, provider

from twisted_registry.deliveries.destinations import Webhook

_REPLY_MAX_BYTES = 64 * 1024
"""Nothing of a reply matters but its status and a header."""


class NotSent(Exception):
    """
    A webhook was not sent.  The text says why, as a clause.
    """


class _BoundedProtocol(ProtocolWrapper):
    """
    A connection that ends if the other side sends too much, and ends at once.
    """

    _received_bytes = 0

    def loseConnection(self) -> None:  # noqa: N802
        # TLS would wait for the other side to end the connection too, without a limit.
        cast(Any, self.transport).abortConnection()

    def dataReceived(self, data: bytes) -> None:
        self._received_bytes += len(data)
        if self._received_bytes > _REPLY_MAX_BYTES:
            cast(Any, self.transport).abortConnection()
        else:
            super().dataReceived(data)


class _Bounded(WrappingFactory):
    protocol = _BoundedProtocol
    noisy = False


def resolve(reactor: Any, host: str, port: int) -> "Deferred[Sequence[str]]":
    """
    Resolve a name.

    Returns:
        fires with its addresses, or with none.
    """
    found: list[str] = []
    done: Deferred[Sequence[str]] = Deferred()

    @provider(IResolutionReceiver)
    class Receiver:
        @staticmethod
        def resolutionBegan(resolution: Any) -> None:  # noqa: N802
            return None

        @staticmethod
        def addressResolved(address: Any) -> None:  # noqa: N802
            found.append(address.host)

        @staticmethod
        def resolutionComplete() -> None:  # noqa: N802
            if not done.called:
                done.callback(list(dict.fromkeys(found)))

    reactor.nameResolver.resolveHostName(Receiver, host, port)
    return done


@implementer(IStreamClientEndpoint)
class CheckedEndpoint:
    """
    The endpoint of a webhook's receiver.  Its name is resolved once for each connection.
    """

    def __init__(self, reactor: Any, webhook: Webhook, uri: URI) -> None:
        self._reactor = reactor
        self._webhook = webhook
        self._host = uri.host.decode("ascii").strip("[]")
        self._port = uri.port

    def connect(self, factory: IProtocolFactory) -> "Deferred[IProtocol]":
        """
        Connect to the first of its addresses that accepts a connection.

        Returns:
            fires with the protocol; fails with ``NotSent`` or ``ConnectError``.
        """
        return Deferred.fromCoroutine(self._connect(factory))

    async def _connect(self, factory: IProtocolFactory) -> IProtocol:
        cast(Any, factory).noisy = False  # a line in the log for each connection
        addresses = await resolve(self._reactor, self._host, self._port)
        if not addresses:
            raise NotSent(f"the name {self._host} cannot be resolved")
        for address in addresses:
            self._check(address)
        problem: Exception = NotSent("no address")
        for address in addresses:
            try:
                bounded = await self._endpoint(address).connect(_Bounded(factory))
            except ConnectError as error:
                problem = error
            else:
                return cast(_BoundedProtocol, bounded).wrappedProtocol
        raise problem

    def _check(self, address: str) -> None:
        rule = self._webhook.rule
        if not rule.allows(address):
            raise NotSent(f"{address} is a private address; 'private_networks' of the webhook can allow it")
        if not self._webhook.is_encrypted and not rule.is_allowed_private(address):
            raise NotSent("without https, it is sent only to 'private_networks'")

    def _endpoint(self, address: str) -> IStreamClientEndpoint:
        make = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
        endpoint: IStreamClientEndpoint = make(self._reactor, address, self._port)
        if self._webhook.is_encrypted:
            endpoint = wrapClientTLS(tls_options(self._host, self._webhook.ca_file), endpoint)
        return endpoint


def tls_options(host: str, ca_file: Path | None) -> Any:
    """
    Return the options of TLS that check the certificate of a host.

    Args:
        ca_file: the authorities; ``None`` for those of the system.

    Raises:
        NotSent: the authorities cannot be read.
    """
    # Imported late: a daemon without webhooks does not need OpenSSL for Twisted.
    from twisted.internet import ssl

    if ca_file is None:
        return ssl.optionsForClientTLS(host)
    try:
        content = ca_file.read_bytes()
        found = [ssl.Certificate.loadPEM(each) for each in _certificates(content)]
    except Exception as error:  # OpenSSL raises whatever it likes
        raise NotSent(f"the authorities in {ca_file} cannot be read: {error}") from None
    if not found:
        raise NotSent(f"there are no certificates in {ca_file}")
    return ssl.optionsForClientTLS(host, trustRoot=ssl.trustRootFromCertificates(found))


_END = b"-----END CERTIFICATE-----"


def _certificates(content: bytes) -> Sequence[bytes]:
    return [each + _END for each in content.split(_END) if b"-----BEGIN CERTIFICATE-----" in each]


@implementer(IAgentEndpointFactory)
class CheckedEndpoints:
    """
    The endpoints of one webhook, for an agent.
    """

    def __init__(self, reactor: Any, webhook: Webhook) -> None:
        self._reactor = reactor
        self._webhook = webhook

    def endpointForURI(self, uri: URI) -> CheckedEndpoint:  # noqa: N802
        """
        Return the endpoint of a URL.
        """
        return CheckedEndpoint(self._reactor, self._webhook, uri)
