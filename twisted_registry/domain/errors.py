"""
Errors that the registry raises.

Each error carries its facts as attributes, and its text says what the caller can do.
``twisted_registry.protocol.error_map`` maps errors to gRPC status codes.  A client raises the same classes; the errors
that only a client can meet are in ``twisted_registry.client.errors``.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from attrs import define

_SHOWN_CHARACTERS = 80

_TRACEBACK = "Traceback (most recent call last):\n"


def shown(text: object) -> str:
    """
    Quote a text that a client sent, and shorten it for an error text.
    """
    quoted = ascii(text)
    if len(quoted) <= _SHOWN_CHARACTERS:
        return quoted
    return f"{quoted[:_SHOWN_CHARACTERS]}... ({len(str(text))} characters)"


class RegistryError(Exception):
    """
    The base class of the errors that this project raises on purpose.

    Data loaders such as PyTorch's raise a worker's error again with a single argument: a text that contains the
    worker's traceback.  The text of such an error is this argument.
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "__str__" in vars(cls):
            cls.__str__ = _or_traceback(vars(cls)["__str__"])  # type: ignore[method-assign]


def _or_traceback(text: Callable[[Any], str]) -> Callable[[Any], str]:
    @wraps(text)
    def text_or_traceback(error: RegistryError) -> str:
        first = error.args[0] if error.args and not any(error.args[1:]) else None
        return first if isinstance(first, str) and _TRACEBACK in first else text(error)

    return text_or_traceback


# The request is at fault.


@define
class InvalidRequest(RegistryError):
    """
    The request is invalid and can never succeed.

    Attributes:
        reason: what is wrong, and how to correct it.
    """

    reason: str

    def __str__(self) -> str:
        return self.reason


@define
class InvalidModelId(RegistryError):
    """
    The text is not allowed as a model id.

    Attributes:
        model_id: the text.
        reason: which rule it breaks.
    """

    model_id: str
    reason: str

    def __str__(self) -> str:
        return f"{shown(self.model_id)} cannot be a model's id: {self.reason}"


@define
class InvalidFilter(RegistryError):
    """
    A filter or an order cannot be understood.

    Attributes:
        parameter: ``filter`` or ``order_by``.
        column: where the text is wrong, in characters from 1.
        reason: what is wrong there, and what is expected.
    """

    parameter: str
    column: int
    reason: str

    def __str__(self) -> str:
        return f"{self.parameter}, column {self.column}: {self.reason}"


@define
class SizeMismatch(RegistryError):
    """
    The size of a version's data differs from the size that its header declares.

    Attributes:
        declared_bytes: the ``data_size`` of the header.
        received_bytes: how much data had arrived when the mismatch was certain.
    """

    declared_bytes: int
    received_bytes: int

    def __str__(self) -> str:
        return (
            f"the header declares a data_size of {self.declared_bytes} bytes, but {self.received_bytes} bytes were "
            "received; declare the size of the data that is sent"
        )


@define
class HashMismatch(RegistryError):
    """
    The SHA-256 of a version's data differs from the one that its header declares.

    Attributes:
        declared: the ``data_hash`` of the header.
        computed: the SHA-256 of the data received, in standard base64.
    """

    declared: str
    computed: str

    def __str__(self) -> str:
        return (
            f"the header declares the data_hash {shown(self.declared)}, but the data received has {self.computed} "
            "(SHA-256 in standard base64); send the data again, or leave data_hash empty"
        )


@define
class UnknownModel(RegistryError):
    """
    No model has this id.
    """

    model_id: str

    def __str__(self) -> str:
        return f"there is no model {shown(self.model_id)}; CreateOrUpdateModel creates it"


@define
class UnknownVersion(RegistryError):
    """
    The model has no such version.

    Attributes:
        model_id: the model's id.
        selector: a version number, or -n for the n-th to last version.
    """

    model_id: str
    selector: int

    def __str__(self) -> str:
        return (
            f"model {shown(self.model_id)} has no version {self.selector}; numbers start at 1 and -1 is the latest, "
            "and a version that is not archived may have been evicted"
        )


@define
class UnknownAlias(RegistryError):
    """
    The model has no such alias.

    Attributes:
        model_id: the model's id.
        alias: the name of the alias.
    """

    model_id: str
    alias: str

    def __str__(self) -> str:
        return (
            f"model {shown(self.model_id)} has no alias {shown(self.alias)}; name a version by its number or by "
            "another alias, and write %40 for an @ in a model's id"
        )


@define
class AliasMoved(RegistryError):
    """
    An alias does not name the version that the request expects.

    Attributes:
        model_id: the model's id.
        alias: the name of the alias.
        expected_number: the number that the request expects; 0 if it expects that there is no such alias.
        present_number: the number that the alias names; 0 if there is no such alias.
    """

    model_id: str
    alias: str
    expected_number: int
    present_number: int

    def __str__(self) -> str:
        present = f"names version {self.present_number}" if self.present_number else "does not exist"
        expected = f"version {self.expected_number}" if self.expected_number else "no such alias"
        return (
            f"alias {shown(self.alias)} of model {shown(self.model_id)} {present}, and the request expects {expected}; "
            "look at what has moved it, then try again with the present number"
        )


@define
class ModelReplaced(RegistryError):
    """
    The model was deleted while a version was being created for it or while it was being followed.  A model with the
    same id may exist again.
    """

    model_id: str

    def __str__(self) -> str:
        return (
            f"model {shown(self.model_id)} was deleted meanwhile, and with it any version that was just created; "
            "create the model again, or start over with the one that has replaced it"
        )


# A limit is reached.


@define
class TooLarge(RegistryError):
    """
    The request exceeds a limit of this server.

    Attributes:
        reason: which limit, and how to stay below it.
    """

    reason: str

    def __str__(self) -> str:
        return self.reason


@define
class Overloaded(RegistryError):
    """
    The registry has no capacity for the request now.

    Attributes:
        reason: what is exhausted, and what to do.
    """

    reason: str

    def __str__(self) -> str:
        return self.reason


@define
class Stalled(RegistryError):
    """
    The client sent nothing for too long, although more data was expected.

    Attributes:
        idle_seconds: how long the server waited.
    """

    idle_seconds: float

    def __str__(self) -> str:
        return f"no data, or almost none, arrived for {self.idle_seconds:g} s although more was expected; send it again"


@define
class NumberTaken(RegistryError):
    """
    Files that were put into the archive from outside have the number that a new version was to get.

    Attributes:
        model_id: the model's id.
        version_number: the number.
        highest: the highest number that any file in the model's folder has.
    """

    model_id: str
    version_number: int
    highest: int

    def __str__(self) -> str:
        return (
            f"model {shown(self.model_id)} already has a version {self.version_number} that was put into the archive "
            "from outside; create the version again"
        )


@define
class NumbersExhausted(RegistryError):
    """
    The model has used every version number that the wire format can represent.
    """

    model_id: str

    def __str__(self) -> str:
        return f"model {shown(self.model_id)} has no version numbers left; continue with another model"


@define
class StorageFull(RegistryError):
    """
    The storage medium is full.

    Attributes:
        reason: the medium's error.
    """

    reason: str

    def __str__(self) -> str:
        return f"the registry's storage is full ({self.reason}); nothing was stored: free some space, then try again"


# The storage is at fault.


@define
class StorageReadOnly(RegistryError):
    """
    The storage medium accepts no writes.

    Attributes:
        reason: the medium's error.
    """

    reason: str

    def __str__(self) -> str:
        return f"the registry's archive cannot be written ({self.reason}); reading still works"


@define
class ArchiveMoved(RegistryError):
    """
    The archive is no longer where it was opened, so that nothing can be stored durably.

    Attributes:
        reason: what is at its path now, without the path.
    """

    reason: str

    def __str__(self) -> str:
        return (
            f"the registry's archive is no longer where it was opened ({self.reason}); nothing was stored: restore its "
            "directory or mount, or restart the registry on the one that is there now"
        )


@define
class StorageFailure(RegistryError):
    """
    The storage medium failed, and the operation was not carried out.

    Attributes:
        reason: the medium's error.
    """

    reason: str

    def __str__(self) -> str:
        return f"the registry's storage failed ({self.reason}); nothing was changed: check the server's disk"


@define
class CommitUncertain(StorageFailure):
    """
    The storage medium failed so late in a commit that the version may exist after a restart.  Its number is not used
    again.
    """

    def __str__(self) -> str:
        return (
            f"the registry's storage failed while the version was committed ({self.reason}); it may exist after a "
            "restart of the registry: check the server's disk"
        )


@define
class StorageUnavailable(StorageFailure):
    """
    The storage could not be read now.  No data was read, so that nothing is known to be damaged or missing.

    Attributes:
        subject: what could not be read, such as a version; empty if the call makes that clear.
    """

    subject: str = ""

    def __str__(self) -> str:
        cause = f"{self.subject}: {self.reason}" if self.subject else self.reason
        return (
            f"the registry cannot read its storage now ({cause}); nothing is known to be damaged: try again, and if "
            "this persists check the server's disk and its permissions"
        )


@define
class TooManyOpenFiles(StorageUnavailable):
    """
    The server's process or machine has no file descriptors left.
    """

    def __str__(self) -> str:
        return (
            f"the registry cannot open another file ({self.reason}); nothing was changed: try again, and raise the "
            "server's limit (ulimit -n, LimitNOFILE= of systemd)"
        )


REWRITE_MODEL = "CreateOrUpdateModel rewrites its metadata"


@define
class CorruptModel(RegistryError):
    """
    A model's metadata in the archive, or its whole folder, is damaged or missing.

    Attributes:
        model_id: the model's id.
        reason: what is wrong.
        remedy: what to do.
    """

    model_id: str
    reason: str
    remedy: str = REWRITE_MODEL

    def __str__(self) -> str:
        return f"model {shown(self.model_id)} is damaged in the archive ({self.reason}); {self.remedy}"


@define
class CorruptVersion(RegistryError):
    """
    A version's files in the archive are damaged or missing.

    Attributes:
        model_id: the model's id.
        version_number: the version's number.
        reason: what is wrong.
    """

    model_id: str
    version_number: int
    reason: str

    def __str__(self) -> str:
        return (
            f"version {self.version_number} of model {shown(self.model_id)} is damaged in the archive "
            f"({self.reason}); use another version, or restore its files"
        )


@define
class CorruptAnnotations(RegistryError):
    """
    A version's labels and metrics in the archive are damaged.  The version itself is not.

    Attributes:
        model_id: the model's id.
        version_number: the version's number.
        reason: what is wrong.
    """

    model_id: str
    version_number: int
    reason: str

    def __str__(self) -> str:
        return (
            f"the labels and metrics of version {self.version_number} of model {shown(self.model_id)} are damaged in "
            f"the archive ({self.reason}); its data is not: replace all labels and metrics with UpdateVersion"
        )


@define
class CorruptRetention(RegistryError):
    """
    Retention policies in the archive are damaged.  Nothing is deleted by them.

    Attributes:
        subject: whose policies they are.
        reason: what is wrong.
    """

    subject: str
    reason: str

    def __str__(self) -> str:
        return (
            f"{self.subject} cannot be read ({self.reason}), and nothing is deleted by it; set a model's policy again, "
            "or move the file of the prefixes away with 'twisted-registry archive verify --quarantine'"
        )


# The archive is a different one.


@define
class ArchiveChanged(RegistryError):
    """
    The registry serves a different archive than the one that the client has worked with.

    Attributes:
        seen: the id of the archive that the client has worked with.
        served: the id of the archive that is served now; empty if that one has no id.
    """

    seen: str
    served: str

    def __str__(self) -> str:
        served = f"another one, {shown(self.served)}" if self.served else "one that has no id"
        return (
            f"this client has worked with the archive {shown(self.seen)}, and the registry now serves {served}; "
            "nothing was done: check --archive-dir of the daemon and whether its disk is mounted, or create a new "
            "client if the change is intended"
        )


@define
class ArchiveTaken(RegistryError):
    """
    Another daemon has taken over the archive.  The daemon that notices this stops; no call fails with this error.

    Attributes:
        owner: a description of the other daemon.
    """

    owner: str

    def __str__(self) -> str:
        return f"another daemon has taken the archive: {self.owner}"


# The server cannot serve.


@define
class Unavailable(RegistryError):
    """
    The registry is starting or stopping.

    Attributes:
        reason: which of the two, and what to do.
    """

    reason: str

    def __str__(self) -> str:
        return self.reason


@define
class CannotStart(RegistryError):
    """
    The registry cannot start with its configuration.

    Attributes:
        reason: one line for the operator.
    """

    reason: str

    def __str__(self) -> str:
        return self.reason
