"""
Settings of access control: who may connect, and what they may do.
"""

from attrs import frozen

from twisted_registry.config.setting import setting
from twisted_registry.config.values import DESCRIPTION, FILE, SWITCH, whole


@frozen
class AccessSettings:
    """
    Settings of access control.

    Attributes:
        tokens: the file of the registry's tokens.
        policy: the file of the policy.
        authenticator: the description of a plugin's authenticator.
        insecure: whether to serve other machines without TLS or without access control.
        audit: the file of the audit log.
        is_audit_required: whether nothing may be changed while the audit log cannot be written.
    """

    tokens: str | None = setting(
        "tokens-file",
        FILE,
        "file with the tokens of this registry, which 'twisted-registry token' writes; only callers with a permission "
        "are served then",
        None,
        "none",
    )
    policy: str | None = setting(
        "policy-file",
        FILE,
        "TOML file with roles, and with what callers may do; only callers with a permission are served then",
        None,
        "none",
    )
    authenticator: str | None = setting(
        "authenticator",
        DESCRIPTION,
        "how callers are known in addition to --tokens-file and --policy-file, as NAME:ARGUMENTS of an installed "
        "authenticator; written like --archive",
        None,
        "none",
    )
    insecure: bool = setting(
        "insecure",
        SWITCH,
        "serve other machines although TLS or access control is missing: anyone who can connect, or who can read the "
        "network, may then do anything",
        False,
        "off",
    )

    audit: str | None = setting(
        "audit-file",
        FILE,
        "file that gets a line for each call that changes something or is refused; opened again on SIGHUP",
        None,
        "none",
    )
    is_audit_required: bool = setting(
        "audit-required",
        SWITCH,
        "refuse all changes while --audit-file cannot be written, instead of only deletions and moves of aliases",
        False,
        "off",
    )

    @property
    def is_enabled(self) -> bool:
        """
        True if callers are checked.
        """
        return self.tokens is not None or self.policy is not None or self.authenticator is not None


@frozen
class TlsSettings:
    """
    Settings of TLS.

    Attributes:
        certificate: the file of the server's certificate.
        key: the file of its private key.
        client_ca: the file of the authorities whose client certificates are accepted.
        client_port: the TCP port where client certificates are required; ``None`` for all ports.
    """

    certificate: str | None = setting(
        "tls-certificate",
        FILE,
        "PEM file with the certificate of this server, followed by those that lead to a root; read again when it "
        "changes",
        None,
        "none",
    )
    key: str | None = setting(
        "tls-key", FILE, "PEM file with the private key of --tls-certificate; read again when it changes", None, "none"
    )
    client_ca: str | None = setting(
        "tls-client-ca",
        FILE,
        "PEM file with the authorities whose client certificates are accepted; every client needs a certificate then, "
        "unless --tls-client-port is given",
        None,
        "none",
    )
    client_port: int | None = setting(
        "tls-client-port",
        whole(0, 65535),
        "second TCP port, where clients need a certificate of --tls-client-ca, while at --port they need none",
        None,
        "none",
    )

    @property
    def is_enabled(self) -> bool:
        """
        True if connections are encrypted.
        """
        return self.certificate is not None
