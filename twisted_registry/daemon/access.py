"""
The access control of the daemon, from its settings: the files, what is made of them, and their reload.
"""

import os
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from twisted_registry.access.callers import Callers
from twisted_registry.access.client_certificates import KIND as CERTIFICATE_KIND, ClientCertificates
from twisted_registry.access.file_kinds import BadFile, FileKind
from twisted_registry.access.files import WatchedFiles
from twisted_registry.access.issuers.authenticator import IssuerTokens, keys_in
from twisted_registry.access.policy.file import POLICY_FILE, parse_policy
from twisted_registry.access.policy.policy import Policy, PolicyRules
from twisted_registry.access.rate_quotas import RateQuotas
from twisted_registry.access.tokens.authenticator import OwnTokens
from twisted_registry.access.tokens.file import TOKEN_FILE, parse_tokens
from twisted_registry.access.unix_peers import UnixPeers
from twisted_registry.config.access import TlsSettings
from twisted_registry.config.load import Settings
from twisted_registry.contracts.access import IAccess, IAuthenticator
from twisted_registry.daemon.authenticators import create_authenticator
from twisted_registry.domain.access import EVERYTHING, GRANTABLE, Grant
from twisted_registry.domain.errors import CannotStart
from twisted_registry.domain.quotas import Quota
from twisted_registry.rpc.tls import ServerTls

if TYPE_CHECKING:
    from twisted_registry.access.certificates import ServerCertificate
    from twisted_registry.web.tls import ServerContext

_log = Logger()

_CHECK_SECONDS = 2.0

_ANY_CERTIFICATE = PolicyRules(grants=[(f"{CERTIFICATE_KIND}:*", Grant(GRANTABLE, EVERYTHING))])
"""The policy without tokens and policy: a client with a certificate may do anything."""


@frozen
class AccessControl:
    """
    The access control of a registry, with its certificates.

    Attributes:
        access: says who calls; ``None`` if anyone may do anything.
        tls: the certificates; ``None`` without encryption.
        files: the files that it is made of.
        quotas: the quotas of the policy; ``None`` without a policy file.
        issuers: the issuers of the policy; ``None`` without a policy file.
        http: the certificates as --http-port uses them; ``None`` without encryption or without that port.
    """

    access: IAccess | None
    tls: ServerTls | None
    files: Sequence[WatchedFiles]
    quotas: "PolicyQuotas | None" = None
    issuers: IssuerTokens | None = None
    http: "ServerContext | None" = None

    def load(self, *, is_final: bool = True) -> None:
        """
        Read the files, and put them in force.  This blocks.

        Args:
            is_final: whether this process already runs as the user who is to run the daemon.

        Raises:
            CannotStart: one of them cannot be used.
        """
        try:
            for each in self.files:
                each.load(checks_owner=is_final)
        except BadFile as error:
            raise CannotStart(str(error)) from None

    def follow(self, changed: Callable[[str, str, str], None]) -> None:
        """
        Register a function to call after each reload of files.

        Args:
            changed: takes the kind of a file, its path, and why it cannot be used, which is empty if it is in force.
        """
        for each in self.files:
            each.changed = changed

    def check_files(self) -> None:
        """
        Read the files again that have changed.  This blocks.
        """
        for each in self.files:
            each.check()


class PolicyQuotas:
    """
    The quotas of a policy.

    Attributes:
        rates: those of calls and bytes a second.
    """

    def __init__(self, policy: Policy) -> None:
        self.rates = RateQuotas()
        self._policy = policy
        policy.on_change(lambda: self.rates.replace(policy.quotas))

    @property
    def all(self) -> Sequence[Quota]:
        """
        All quotas that are in force.
        """
        return self._policy.quotas

    def follow(self, use: Callable[[Sequence[Quota]], None]) -> None:
        """
        Call a function with the quotas, in any thread, when they may have changed.
        """
        self._policy.on_change(lambda: use(self._policy.quotas))


def make_access_control(settings: Settings) -> AccessControl:
    """
    Read the files that the settings name.  This blocks.

    Raises:
        CannotStart: a file cannot be used, settings do not fit together, or other machines could do anything.
    """
    _check_settings(settings)
    _check_web(settings)
    access, tls = settings.access, settings.tls
    files: list[WatchedFiles] = []
    callers = quotas = issuers = None
    if access.is_enabled or tls.client_ca is not None:
        policy = Policy(None if access.is_enabled else _ANY_CERTIFICATE)
        plugin = None if access.authenticator is None else create_authenticator(access.authenticator)
        tokens = OwnTokens(lambda: policy.roles)
        authenticators: list[IAuthenticator] = [tokens, ClientCertificates()]
        if access.policy is not None:
            quotas = PolicyQuotas(policy)
            issuers = IssuerTokens(keys_in(Path(access.policy).parent), is_alone=plugin is None)
            authenticators.append(issuers)
            files.append(_policy_file(access.policy, policy, issuers, "" if plugin is None else plugin.name))
        if access.tokens is not None:
            files.append(_token_file(access.tokens, tokens))
        if settings.unix.path is not None:
            authenticators.append(UnixPeers())
        if plugin is not None:
            authenticators.append(plugin)
        callers = Callers(authenticators, policy)
    server_tls = http = None
    if tls.certificate is not None and tls.key is not None:
        server_tls = ServerTls(tls.client_port)
        http = None if settings.web.port is None else _http_context()
        files.append(_certificate_files(tls, tls.certificate, tls.key, server_tls, http))
    control = AccessControl(callers, server_tls, files, quotas, issuers, http)
    # Root may be about to become the user who owns the files; they are loaded again then.
    control.load(is_final=os.geteuid() != 0)
    return control


def _token_file(path: str, tokens: OwnTokens) -> WatchedFiles:
    def use(content: bytes) -> None:
        tokens.replace({record.id: record for record in parse_tokens(content)})

    return _watch(TOKEN_FILE, path, use)


def _policy_file(path: str, policy: Policy, issuers: IssuerTokens, plugin: str) -> WatchedFiles:
    def use(content: bytes) -> None:
        rules = parse_policy(content, plugin)
        issuers.replace(rules.issuers)  # first, because it can fail
        policy.replace(rules)

    return _watch(POLICY_FILE, path, use)


def _watch(kind: FileKind, path: str, use: Callable[[bytes], object]) -> WatchedFiles:
    return WatchedFiles([(kind, Path(path))], use)


def _http_context() -> "ServerContext":
    # Imported late: a daemon without --http-port does not need the library.
    from twisted_registry.web.tls import ServerContext

    return ServerContext()


def _certificate_files(
    settings: TlsSettings, certificate: str, key: str, tls: ServerTls, http: "ServerContext | None"
) -> WatchedFiles:
    # Imported late: a daemon without TLS does not need the library.
    from twisted_registry.access import certificates

    files = [(certificates.CERTIFICATE_FILE, Path(certificate)), (certificates.KEY_FILE, Path(key))]
    if settings.client_ca is not None:
        files.append((certificates.AUTHORITIES_FILE, Path(settings.client_ca)))

    def use(chain: bytes, private_key: bytes, client_ca: bytes | None = None) -> None:
        checked = certificates.check_server_certificate(chain, private_key)
        if client_ca is not None:
            certificates.check_authorities(client_ca)
        if http is not None:
            _use_for_http(http, checked, client_ca)
        for note in checked.notes:
            _log.warn("{note}", note=note)
        _log.info(
            "TLS certificate for {names}, valid until {ends}",
            names=", ".join(checked.names) or "no name",
            ends=f"{checked.ends:%Y-%m-%dT%H:%M:%SZ}",
        )
        tls.use(chain, private_key, client_ca, checked.ends.timestamp())

    return WatchedFiles(files, use)


def _use_for_http(http: "ServerContext", checked: "ServerCertificate", client_ca: bytes | None) -> None:
    from twisted_registry.web.tls import UnusableCertificate

    try:
        http.use(checked.chain, checked.key, client_ca, checked.names)
    except UnusableCertificate as error:
        raise BadFile(str(error)) from None


def certificate_end(pem: bytes) -> float | None:
    """
    Return when a certificate expires, in seconds since the Unix epoch; ``None`` if it cannot be read.
    """
    from twisted_registry.access.certificates import end_of

    return end_of(pem)


def certificate_names(pem: bytes) -> Sequence[str]:
    """
    Return the names in a client's certificate.
    """
    from twisted_registry.access.certificates import client_names

    return client_names(pem)


def is_loopback(interface: str) -> bool:
    """
    Return whether only this machine can connect to an interface.
    """
    try:
        return ip_address(interface).is_loopback
    except ValueError:
        return interface == "localhost"


def _check_settings(settings: Settings) -> None:
    access, tls, network = settings.access, settings.tls, settings.network
    if (tls.certificate is None) != (tls.key is None):
        raise CannotStart("--tls-certificate and --tls-key go together; pass both, or neither")
    if tls.client_ca is not None and tls.certificate is None:
        raise CannotStart("--tls-client-ca needs TLS; pass --tls-certificate and --tls-key too")
    if tls.client_port is not None and tls.client_ca is None:
        raise CannotStart("--tls-client-port needs the authorities of client certificates; pass --tls-client-ca too")
    if tls.client_port is not None and tls.client_port == network.port != 0:
        raise CannotStart("--tls-client-port and --port are the same; choose another one")
    if tls.client_port is not None and not access.is_enabled:
        raise CannotStart(
            "--tls-client-port leaves --port to clients without a certificate, which could do nothing; pass "
            "--tokens-file or --policy-file for them, or leave out --tls-client-port"
        )
    _check_unix(settings)
    if not settings.unix.is_alone:
        _check_exposure(settings, "--interface", network.interface)


def _check_exposure(settings: Settings, flag: str, interface: str) -> None:
    access, tls = settings.access, settings.tls
    if access.insecure or is_loopback(interface):
        return
    missing = []
    if tls.certificate is None:
        missing.append("is not encrypted (pass --tls-certificate and --tls-key)")
    if not access.is_enabled and tls.client_ca is None:
        missing.append("does not know its callers (pass --tokens-file, --policy-file or --tls-client-ca)")
    if missing:
        raise CannotStart(
            f"{flag} {interface} would let other machines connect, but the registry {' and '.join(missing)}; if that "
            "is what you want, pass --insecure"
        )


def _check_unix(settings: Settings) -> None:
    unix, tls = settings.unix, settings.tls
    if unix.path is None:
        if unix.is_alone:
            raise CannotStart("--socket-only needs a socket; pass --socket")
        if unix.mode is not None or unix.group is not None:
            raise CannotStart("--socket-mode and --socket-group are for a socket; pass --socket")
        return
    if unix.is_alone and tls.is_enabled:
        raise CannotStart("--socket-only leaves no port for TLS; leave out --tls-certificate, or --socket-only")
    if tls.client_ca is not None and not settings.access.is_enabled:
        raise CannotStart(
            "clients at --socket have no certificate, and could do nothing; pass --tokens-file or --policy-file for "
            "them, or leave out --socket"
        )


def _check_web(settings: Settings) -> None:
    web, network = settings.web, settings.network
    if web.port is None:
        return
    access = settings.access
    if settings.unix.is_alone and not (access.insecure or access.is_enabled):
        raise CannotStart(
            "--http-port would let every user of this machine do what --socket-only leaves to those who may open the "
            "socket; pass --tokens-file or --policy-file, or leave out --http-port; if that is what you want, pass "
            "--insecure"
        )
    if web.port == network.port != 0:
        raise CannotStart("--http-port and --port are the same; choose another one")
    _check_exposure(settings, "--http-interface", web.interface)


class AccessReloader:
    """
    Reloads the files of access control while the daemon runs.
    """

    def __init__(
        self, clock: IReactorTime, control: AccessControl, defer: Callable[[Callable[[], None]], "Deferred[None]"]
    ) -> None:
        """

        Args:
            clock: the clock.
            defer: runs a function that blocks in a thread.
        """
        self._control = control
        self._defer = defer
        self._loop = LoopingCall(self.check)
        self._loop.clock = clock
        self._checking: Deferred[None] | None = None

    def start(self) -> None:
        """
        Check the files periodically from now on.
        """
        if self._control.files:
            self._loop.start(_CHECK_SECONDS, now=False)

    def stop(self) -> None:
        """
        Check them no more.
        """
        if self._loop.running:
            self._loop.stop()

    def check(self) -> "Deferred[None]":
        """
        Check the files now, one check at a time.

        Returns:
            fires with ``None`` when they are checked.
        """
        if self._checking is None:
            self._checking = self._defer(self._control.check_files)
            self._checking.addErrback(lambda failure: _log.failure("cannot check the files of access control", failure))
            self._checking.addBoth(self._checked)
        checking: Deferred[None] = Deferred()
        self._checking.addCallback(lambda _: checking.callback(None))
        return checking

    def _checked(self, _: object) -> None:
        self._checking = None
