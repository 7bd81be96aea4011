"""
Options of a client, checked before it connects.  This module loads without gRPC.
"""

import re

from attrs import field, frozen

from twisted_registry.client._transport.addresses import Address
from twisted_registry.client._transport.saved_tokens import SavedToken
from twisted_registry.client._transport.tokens import TokenSource, token_problem

_CONTENTS = {
    "root_certificates": b"CERTIFICATE",
    "private_key": b"PRIVATE KEY",
    "certificate_chain": b"CERTIFICATE",
}
"""The contents of the values of ``Tls``, in PEM format."""


@frozen
class Tls:
    """
    Certificates for an encrypted connection.

    Attributes:
        root_certificates: PEM of the certificates to trust; ``None`` for those that gRPC trusts by default.
        private_key: PEM of the client's key, if the server asks for a client certificate.
        certificate_chain: PEM of the client's certificate, with ``private_key``.
        server_name: the name to expect in the server's certificate, if it is not the host of the address.
    """

    root_certificates: bytes | None = None
    private_key: bytes | None = field(default=None, repr=False)
    certificate_chain: bytes | None = None
    server_name: str | None = None

    def __attrs_post_init__(self) -> None:
        """
        Check what gRPC would only report as an unreachable server, or crash on.

        Raises:
            ValueError: a value is not PEM or holds something else, the key is encrypted, or only one of
                ``private_key`` and ``certificate_chain`` is given.
        """
        if (self.private_key is None) != (self.certificate_chain is None):
            raise ValueError("private_key and certificate_chain go together: pass both, or neither")
        for name, what in _CONTENTS.items():
            given: bytes | None = getattr(self, name)
            if given is not None and not re.search(rb"-----BEGIN [A-Z0-9 ]*" + what, given):
                raise ValueError(
                    f"{name} holds no {what.decode().lower()} in PEM format, which has lines such as -----BEGIN "
                    f"{what.decode()}-----"
                )
        if self.private_key is not None and b"ENCRYPTED" in self.private_key:
            raise ValueError("private_key is encrypted; decrypt it, for example with 'openssl pkey'")


@frozen
class Options:
    """
    The address of a registry, and how to connect to it.

    Attributes:
        address: ``HOST:PORT``, or another target that gRPC knows.
        tls: ``None`` for an unencrypted connection.
        token: sent with each call as ``authorization: Bearer TOKEN``, or a function that returns it; ``None`` sends
            none.
        deadline_seconds: how long the answer to a call without data may take, in seconds.
        retry_seconds: how long to retry while the server is away, in seconds.
        idle_seconds: how long a transfer may stall, in seconds.
    """

    address: str
    tls: Tls | None = None
    token: TokenSource | None = field(default=None, repr=False)
    deadline_seconds: float = 30.0
    retry_seconds: float = 30.0
    idle_seconds: float = 60.0
    parsed: Address = field(init=False, repr=False)

    @parsed.default
    def _parsed_address(self) -> Address:
        return Address.parse(self.address)

    def __attrs_post_init__(self) -> None:
        """
        Check the token.

        Raises:
            ValueError: the token cannot be sent, is too long, would cross a network unencrypted, or is kept for another
                registry.
        """
        if self.token is None:
            return
        if isinstance(self.token, str) and (problem := token_problem(self.token)):
            raise ValueError(problem)
        if isinstance(self.token, SavedToken) and not self.token.is_of(self.address):
            raise ValueError(
                f"the token is kept for {self.token.address}, and is not sent to {self.address}; pass one of that"
            )
        if self.tls is None and not self.parsed.is_loopback:
            raise ValueError(f"the token would be sent to {self.address} unencrypted: pass tls as well")
