"""
Errors of the client library.

Every error that a client raises can be imported from here: those that the server raised, with the same class, text and
attributes, and those that only a client can meet.
"""

from attrs import define

from twisted_registry.domain.errors import (
    AliasedVersion,
    AliasMoved,
    ArchiveChanged,
    ArchiveMoved,
    AuditUnavailable,
    CommitUncertain,
    CorruptAliases,
    CorruptAnnotations,
    CorruptModel,
    CorruptRetention,
    CorruptVersion,
    CursorExpired,
    EtagChanged,
    HashMismatch,
    InvalidFilter,
    InvalidModelId,
    InvalidRequest,
    ModelExists,
    ModelReplaced,
    NotAuthenticated,
    NotPermitted,
    NumbersExhausted,
    NumberTaken,
    OutOfRange,
    Overloaded,
    QuotaExceeded,
    RegistryError,
    SignInsThrottled,
    SizeMismatch,
    Stalled,
    StorageFailure,
    StorageFull,
    StorageReadOnly,
    StorageUnavailable,
    TooLarge,
    TooManyAliases,
    TooManyOpenFiles,
    Unavailable,
    UnknownAlias,
    UnknownModel,
    UnknownVersion,
    UnsupportedByArchive,
    UploadTakenOver,
    WrongOffset,
    shown,
)

__all__ = [
    "AliasMoved",
    "AliasedVersion",
    "ArchiveChanged",
    "ArchiveMoved",
    "AuditUnavailable",
    "BadReply",
    "CertificateRefused",
    "ClientCertificateRefused",
    "ClientUnusable",
    "CommitUncertain",
    "CorruptAliases",
    "CorruptAnnotations",
    "CorruptModel",
    "CorruptRetention",
    "CorruptTransfer",
    "CorruptVersion",
    "CreationUncertain",
    "CursorExpired",
    "DataChanged",
    "DeadlineExceeded",
    "EtagChanged",
    "HashMismatch",
    "IncidentReported",
    "InvalidFilter",
    "InvalidModelId",
    "InvalidRequest",
    "ModelExists",
    "ModelReplaced",
    "NoMatchingVersion",
    "NotAuthenticated",
    "NotPermitted",
    "NumberTaken",
    "NumbersExhausted",
    "OutOfRange",
    "Overloaded",
    "ProxyRefused",
    "ProxyUnavailable",
    "QuotaExceeded",
    "RegistryError",
    "SignInsThrottled",
    "SizeMismatch",
    "Stalled",
    "StorageFailure",
    "StorageFull",
    "StorageReadOnly",
    "StorageUnavailable",
    "TlsFailed",
    "TokenUnusable",
    "TooLarge",
    "TooManyAliases",
    "TooManyOpenFiles",
    "Unavailable",
    "UnknownAlias",
    "UnknownModel",
    "UnknownVersion",
    "Unreachable",
    "Unsupported",
    "UnsupportedByArchive",
    "UploadTakenOver",
    "WrongOffset",
]


@define
class Unreachable(Unavailable):
    """
    There is no connection to the server; nothing was sent.

    Attributes:
        reason: why connecting failed.
        address: the address that was tried.
    """

    address: str

    def __str__(self) -> str:
        return f"cannot reach the registry at {self.address} ({self.reason}); is it running, and is this its address?"


@define
class CertificateRefused(Unreachable):
    """
    The client does not trust the certificate that the server presented; nothing was sent.

    Attributes:
        remedy: what to do.
    """

    remedy: str

    def __str__(self) -> str:
        return f"the certificate of the registry at {self.address} was refused ({self.reason}); {self.remedy}"


@define
class ClientCertificateRefused(Unreachable):
    """
    The server requires a client certificate, or does not accept the one that the client has; nothing was sent.
    """

    def __str__(self) -> str:
        return f"the registry at {self.address} disconnected, {self.reason}"


@define
class TlsFailed(Unreachable):
    """
    Either the server or the client uses TLS, but not both, or the client's own certificates cannot be used; nothing was
    sent.
    """

    def __str__(self) -> str:
        return f"cannot connect to the registry at {self.address}: {self.reason}"


@define
class TokenUnusable(NotAuthenticated):
    """
    The client's token cannot be read or sent; nothing was sent.

    Attributes:
        reason: why.
    """

    def __str__(self) -> str:
        return f"the client has no token to send: {self.reason}"


@define
class ProxyUnavailable(Unavailable):
    """
    A proxy in front of the registry cannot reach it, or accepts no more calls for now.

    Attributes:
        reason: the proxy's answer, in words.
        http_status: the HTTP status of the proxy's answer.
    """

    http_status: int


@define
class ProxyRefused(RegistryError):
    """
    A proxy in front of the registry answered the call itself, and will answer a repeated call in the same way.

    Attributes:
        reason: which setting to change, and where.
        http_status: the HTTP status of the proxy's answer; 0 if it was lost.
    """

    reason: str
    http_status: int

    def __str__(self) -> str:
        return self.reason


@define
class DeadlineExceeded(RegistryError):
    """
    The answer did not arrive in time.

    Attributes:
        reason: what the client waited for, and for how long.
    """

    reason: str

    def __str__(self) -> str:
        return self.reason


@define
class CreationUncertain(RegistryError):
    """
    The connection was lost after the whole version was sent and before the answer arrived: the version may exist.

    Attributes:
        model_id: the model that the version was sent to.
        reason: how the connection was lost.
        is_absent: ``True`` if the client has since looked and the server had no such version; ``False`` if it could not
            look.
    """

    model_id: str
    reason: str
    is_absent: bool = True

    @property
    def finding(self) -> str:
        """
        The client's finding about the version, as a clause for error texts.
        """
        return "it does not exist so far" if self.is_absent else "whether it exists could not be determined"

    def __str__(self) -> str:
        return (
            f"a new version of model {shown(self.model_id)} was sent, but no answer came ({self.reason}), and "
            f"{self.finding}; look at the latest versions before you create it again"
        )


@define
class DataChanged(RegistryError):
    """
    A file changed while it was sent, so that the data read may mix two of its states.

    Attributes:
        reason: how the file changed.
    """

    reason: str

    def __str__(self) -> str:
        return (
            f"the file changed while it was read ({self.reason}); nothing was created: save to another name and rename "
            "the file when it is complete, then send it again"
        )


@define
class BadReply(RegistryError):
    """
    The server's answer does not fit the request; it was not used.

    Attributes:
        asked: what the client asked for.
        problem: what is wrong with the answer.
    """

    asked: str
    problem: str

    def __str__(self) -> str:
        return (
            f"the server was asked for {self.asked}, but {self.problem}; the answer was not used: check that this is "
            "the address of a model registry, and which proxies are in between"
        )


@define
class CorruptTransfer(CorruptVersion):
    """
    The data that arrived differs from the data that was sent.
    """

    def __str__(self) -> str:
        return (
            f"version {self.version_number} of model {shown(self.model_id)} was damaged in transfer ({self.reason}); "
            "transfer it again"
        )


@define
class IncidentReported(RegistryError):
    """
    An unexpected error occurred in the server.

    Attributes:
        reason: the server's text, with the id of the incident in its log.
    """

    reason: str

    def __str__(self) -> str:
        return self.reason


@define
class Unsupported(RegistryError):
    """
    The server does not implement the call: it is not a model registry, or an older or another one.

    Attributes:
        reason: the server's text.
    """

    reason: str

    def __str__(self) -> str:
        return f"the server does not know this call ({self.reason}); is this the address of a model registry?"


@define
class NoMatchingVersion(RegistryError):
    """
    The model has no version that matches a filter.

    Attributes:
        model_id: the model.
        filter: the filter.
    """

    model_id: str
    filter: str

    def __str__(self) -> str:
        return (
            f"no version of model {shown(self.model_id)} matches {shown(self.filter)}; look at the versions that it "
            "has, and at the names of their metrics and labels"
        )


@define
class ClientUnusable(RegistryError):
    """
    The client is closed, or was made before this process was forked.

    Attributes:
        reason: which of the two, and what to do.
    """

    reason: str

    def __str__(self) -> str:
        return self.reason
