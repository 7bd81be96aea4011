"""
Checks of certificates before they are used.  gRPC itself reports nothing about one that does not fit: each handshake
fails instead.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import pairwise

from attrs import field, frozen
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from twisted_registry.access.file_kinds import BadFile, FileKind
from twisted_registry.domain.errors import shown

_MOST_BYTES = 2**20
CERTIFICATE_FILE = FileKind("certificate", _MOST_BYTES)
KEY_FILE = FileKind("private key", _MOST_BYTES, is_trusted=True)
AUTHORITIES_FILE = FileKind("client authorities", _MOST_BYTES, is_trusted=True)

_LEAST_RSA_BITS = 2048

Now = Callable[[], datetime]


def now_utc() -> datetime:
    """
    Return the time.
    """
    return datetime.now(UTC)


@frozen
class ServerCertificate:
    """
    The certificate of a server, checked.

    Attributes:
        chain: PEM of the certificate and of those that lead to a root.
        key: PEM of its private key.
        names: the DNS names and addresses for which it is valid.
        starts: when its validity began.
        ends: when it expires.
        notes: remarks for the operator.
    """

    chain: bytes
    key: bytes = field(repr=False)
    names: Sequence[str]
    starts: datetime
    ends: datetime
    notes: Sequence[str] = ()


def check_server_certificate(chain: bytes, key: bytes, now: Now = now_utc) -> ServerCertificate:
    """
    Check that a certificate can be used, with its key.

    Args:
        chain: PEM of the certificate first, then of those that lead to a root.
        key: PEM of its private key.
        now: returns the time.

    Raises:
        BadFile: it cannot; the text says why.
    """
    certificates = _certificates(chain, "certificate")
    leaf = certificates[0]
    _check_kind_of_key(leaf)
    if _public_bytes(leaf) != _public_bytes_of_key(key):
        raise BadFile("the private key is not that of the certificate; pass the key that was made with it")
    _check_time(leaf, now())
    for lower, upper in pairwise(certificates):
        if not _issued(upper, lower):
            raise BadFile(
                f"the certificate file has {_subject(upper)} after {_subject(lower)}, which it did not issue; put each "
                "certificate before that of its issuer"
            )
    names = _names(leaf)
    notes = []
    if not names:
        notes.append("the certificate has no subject alternative name, and clients will refuse it for any address")
    if len(certificates) == 1 and leaf.issuer != leaf.subject:
        notes.append(
            f"the certificate file does not contain the issuer, {shown(leaf.issuer.rfc4514_string())}; clients that do "
            "not have that certificate will refuse this one"
        )
    return ServerCertificate(chain, key, names, leaf.not_valid_before_utc, leaf.not_valid_after_utc, notes)


def check_authorities(pem: bytes, now: Now = now_utc) -> None:
    """
    Check the authorities whose client certificates are accepted.

    Raises:
        BadFile: one of them is not an authority, or all have expired.
    """
    certificates = _certificates(pem, "client authorities")
    for certificate in certificates:
        try:
            is_authority = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
            is_authority = False
        if not is_authority:
            raise BadFile(
                f"{_subject(certificate)} among the client authorities is not an authority; pass the certificates of "
                "those that issue the client certificates"
            )
    if all(certificate.not_valid_after_utc <= now() for certificate in certificates):
        raise BadFile("all client authorities have expired; pass the new ones")


@lru_cache(maxsize=1024)
def end_of(pem: bytes) -> float | None:
    """
    Return when a certificate expires, in seconds since the Unix epoch; ``None`` if it cannot be read.
    """
    try:
        return x509.load_pem_x509_certificate(pem).not_valid_after_utc.timestamp()
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def client_names(pem: bytes) -> Sequence[str]:
    """
    Return the names in a client's certificate: its SPIFFE id, then its DNS names.  gRPC finds the same.
    """
    found = _alternative_names(x509.load_pem_x509_certificate(pem))
    if found is None:
        return ()
    uris = found.get_values_for_type(x509.UniformResourceIdentifier)
    # A certificate with other URIs beside it is not a SPIFFE document.
    spiffe_ids = uris if len(uris) == 1 and uris[0].startswith("spiffe://") else ()
    return (*spiffe_ids, *found.get_values_for_type(x509.DNSName))


def _certificates(pem: bytes, what: str) -> Sequence[x509.Certificate]:
    if b"-----BEGIN CERTIFICATE-----" not in pem:
        raise BadFile(f"the file of the {what} holds no certificate in PEM format, which has lines such as -----BEGIN")
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise BadFile(f"the file of the {what} is damaged: {error}") from None


def _public_bytes(certificate: x509.Certificate) -> bytes:
    try:
        return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (UnsupportedAlgorithm, ValueError) as error:
        raise BadFile(f"the certificate has a key that cannot be used: {error}; use one with ECDSA or RSA") from None


def _check_kind_of_key(certificate: x509.Certificate) -> None:
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1 | ec.SECP521R1):
        return
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= _LEAST_RSA_BITS:
        return
    raise BadFile(
        "the certificate has a key of a kind that gRPC does not use; make one with ECDSA (P-256), or with RSA of "
        f"{_LEAST_RSA_BITS} bits"
    )


def _public_bytes_of_key(pem: bytes) -> bytes:
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError:
        raise BadFile("the private key is encrypted; decrypt it, for example with 'openssl pkey'") from None
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadFile(f"the file of the private key holds no key in PEM format: {error}") from None
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _check_time(certificate: x509.Certificate, now: datetime) -> None:
    starts, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if ends <= now:
        raise BadFile(f"the certificate expired at {ends:%Y-%m-%dT%H:%M:%SZ}; renew it")
    if starts > now:
        raise BadFile(
            f"the certificate is not valid before {starts:%Y-%m-%dT%H:%M:%SZ}; wait, or check the clock of this machine"
        )


def _issued(upper: x509.Certificate, lower: x509.Certificate) -> bool:
    try:
        lower.verify_directly_issued_by(upper)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return None


def _names(certificate: x509.Certificate) -> Sequence[str]:
    found = _alternative_names(certificate)
    if found is None:
        return ()
    names = found.get_values_for_type(x509.DNSName)
    return [*names, *map(str, found.get_values_for_type(x509.IPAddress))]


def _subject(certificate: x509.Certificate) -> str:
    return shown(certificate.subject.rfc4514_string() or f"serial number {certificate.serial_number:x}")
