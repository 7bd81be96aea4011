"""
Everything that can go wrong, as one small taxonomy.

Each error carries its facts as attributes and says in its text what the caller can do about it.  Which gRPC status an
error becomes is held by one table, in ``twisted_registry.protocol.error_map``.  A client raises the very error
that the server did; those that only a client can know of stand at the end.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from attrs import define

_SHOWN_CHARACTERS = 80


def shown(text: object) -> str:
    """
    Quote something a client sent, short enough for an error text whatever was sent.
    """
    quoted = ascii(text)
    if len(quoted) <= _SHOWN_CHARACTERS:
        return quoted
    return f"{quoted[:_SHOWN_CHARACTERS]}... ({len(str(text))} characters)"


_TRACEBACK = "Traceback (most recent call last):\n"


class RegistryError(Exception):
    """
    The base of every error this project raises on purpose.

    Loaders of data, such as PyTorch's, raise a worker's error again as its class with one argument: a text with the
    worker's traceback.  That is no fact of an error, and is its text as it is.
    """

    def __init_subclass__(cls) -> None:
        """
        Have the text of each class give such a traceback whole.
        """
        super().__init_subclass__()
        if "__str__" in vars(cls):
            cls.__str__ = _or_traceback(vars(cls)["__str__"])  # type: ignore[method-assign]


def _or_traceback(text: Callable[[Any], str]) -> Callable[[Any], str]:
    @wraps(text)
    def told(error: RegistryError) -> str:
        first = error.args[0] if error.args and not any(error.args[1:]) else None
        return first if isinstance(first, str) and _TRACEBACK in first else text(error)

    return told


# The request is at fault.


@define
class InvalidRequest(RegistryError):
    """
    The request can never succeed as it is.

    Attributes:
        reason: what is wrong with it and how to mend it.
    """

    reason: str

    def __str__(self) -> str:
        return self.reason


@define
class InvalidModelId(RegistryError):
    """
    The text is not allowed as a model's id.
    """

    model_id: str
    reason: str

    def __str__(self) -> str:
        return f"{shown(self.model_id)} cannot be a model's id: {self.reason}"


@define
class SizeMismatch(RegistryError):
    """
    A version's data is not as long as its header declares.

    Attributes:
        declared_bytes: the header's data_size.
        received_bytes: what had come when the mismatch was certain.
    """

    declared_bytes: int
    received_bytes: int

    def __str__(self) -> str:
        return (
            f"the header declares a data_size of {self.declared_bytes} bytes, but {self.received_bytes} bytes came; "
            "declare the size of the data that is sent"
        )


@define
class HashMismatch(RegistryError):
    """
    A version's data has another hash than its header declares.

    Attributes:
        declared: the header's data_hash.
        computed: the SHA-256 of the bytes received, in standard base64.
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
        return f"there is no model {shown(self.model_id)}; CreateOrUpdateModel makes one"


@define
class UnknownVersion(RegistryError):
    """
    The selector names no version of the model.

    Attributes:
        selector: a version's number, or -n for the n-th to last.
    """

    model_id: str
    selector: int

    def __str__(self) -> str:
        return (
            f"model {shown(self.model_id)} has no version {self.selector}; numbers start at 1 and -1 is the latest, "
            "and a version that is not archived may have been evicted"
        )


@define
class ModelReplaced(RegistryError):
    """
    The model was deleted while a version was being created for it, or while it was followed, whether or not it exists
    again.
    """

    model_id: str

    def __str__(self) -> str:
        return (
            f"model {shown(self.model_id)} was deleted meanwhile, and with it any version that was just created; "
            "create it again, or begin anew with the one that has its place"
        )


# A limit is reached.


@define
class TooLarge(RegistryError):
    """
    What was asked for is larger than a limit of this server.

    Attributes:
        reason: which limit, and the way round it.
    """

    reason: str

    def __str__(self) -> str:
        return self.reason


@define
class Overloaded(RegistryError):
    """
    The registry has no room for the request now.

    Attributes:
        reason: what there is no room for, and what to do.
    """

    reason: str

    def __str__(self) -> str:
        return self.reason


@define
class Stalled(RegistryError):
    """
    The client brought nothing for too long of what it had to bring.
    """

    idle_seconds: float

    def __str__(self) -> str:
        return (
            f"nothing came for {self.idle_seconds:g} s, or next to nothing, and there was more to come; send it again"
        )


@define
class NumberTaken(RegistryError):
    """
    A version that was not created here has the number that a new one was to get: files were put into the archive.

    Attributes:
        highest: the highest number that anything in the model's folder has.
    """

    model_id: str
    version_number: int
    highest: int

    def __str__(self) -> str:
        return (
            f"model {shown(self.model_id)} has a version {self.version_number} already, which was put there by others; "
            "create the version again"
        )


@define
class NumbersExhausted(RegistryError):
    """
    The model has used up every version number the wire format can name.
    """

    model_id: str

    def __str__(self) -> str:
        return f"model {shown(self.model_id)} has no version number left; go on under another model's id"


@define
class StorageFull(RegistryError):
    """
    The medium has no room for what should be stored.
    """

    reason: str

    def __str__(self) -> str:
        return f"the registry's storage is full ({self.reason}); nothing was stored: make room, then try again"


# The storage is at fault.


@define
class StorageReadOnly(RegistryError):
    """
    The medium takes no writes.
    """

    reason: str

    def __str__(self) -> str:
        return f"the registry's archive cannot be written ({self.reason}); reading goes on"


@define
class ArchiveMoved(RegistryError):
    """
    The archive is no longer where it was opened: nothing can be stored durably.

    Attributes:
        reason: what is at its path now; names no path.
    """

    reason: str

    def __str__(self) -> str:
        return (
            f"the registry's archive is no longer where it was opened ({self.reason}); nothing was stored: put its "
            "directory or mount back, or restart the registry on the one that is there now"
        )


@define
class StorageFailure(RegistryError):
    """
    The medium failed a call, and what should be stored is not.
    """

    reason: str

    def __str__(self) -> str:
        return f"the registry's storage failed ({self.reason}); it was not done: see the server's disk"


@define
class CommitUncertain(StorageFailure):
    """
    The medium failed so late that the version may be there after a restart: its number must not be used again.
    """


@define
class StorageUnavailable(StorageFailure):
    """
    The storage could not be read just now.  No bytes were seen, so nothing is known to be damaged or missing.

    Attributes:
        subject: what could not be read, such as a version; empty where the call says it.
    """

    subject: str = ""

    def __str__(self) -> str:
        cause = f"{self.subject}: {self.reason}" if self.subject else self.reason
        return (
            f"the registry cannot read its storage now ({cause}); nothing is known to be damaged: try again, and "
            "where this lasts see the server's disk and its permissions"
        )


@define
class TooManyOpenFiles(StorageUnavailable):
    """
    The server's process, or its machine, has no file descriptor left.
    """

    def __str__(self) -> str:
        return (
            f"the registry cannot open another file ({self.reason}); nothing was changed: try again, and have the "
            "server's limit raised (ulimit -n, LimitNOFILE= of systemd)"
        )


REWRITE_MODEL = "CreateOrUpdateModel writes its metadata anew"


@define
class CorruptModel(RegistryError):
    """
    A model's metadata on the archive, or its whole folder, is damaged or missing.

    Attributes:
        remedy: what to do.
    """

    model_id: str
    reason: str
    remedy: str = REWRITE_MODEL

    def __str__(self) -> str:
        return f"model {shown(self.model_id)} is damaged on the archive ({self.reason}); {self.remedy}"


@define
class CorruptVersion(RegistryError):
    """
    A version's files on the archive are damaged.
    """

    model_id: str
    version_number: int
    reason: str

    def __str__(self) -> str:
        return (
            f"version {self.version_number} of model {shown(self.model_id)} is damaged on the archive "
            f"({self.reason}); use another version, or restore its files"
        )


# The archive is another one.


@define
class ArchiveChanged(RegistryError):
    """
    The client has worked with another archive than the one that is served now.

    Attributes:
        seen: the id of the archive that the client has worked with.
        served: the id of the archive that is served now.
    """

    seen: str
    served: str

    def __str__(self) -> str:
        served = f"another one, {shown(self.served)}" if self.served else "one that has no id"
        return (
            f"this client has worked with the archive {shown(self.seen)}, and the registry now serves {served}; "
            "nothing was done: check --archive-dir of the daemon and whether its disk is mounted, or make a new client "
            "if the change is meant"
        )


@define
class ArchiveTaken(RegistryError):
    """
    Another daemon has taken the archive.  No call ends with this: the daemon that notices it stops.

    Attributes:
        owner: the other daemon, for people.
    """

    owner: str

    def __str__(self) -> str:
        return f"another daemon has taken the archive: {self.owner}"


# The server is at fault, or is on its way.


@define
class Unavailable(RegistryError):
    """
    The registry is starting or stopping.
    """

    reason: str

    def __str__(self) -> str:
        return self.reason


@define
class CannotStart(RegistryError):
    """
    The registry cannot start as it is configured.

    Attributes:
        reason: one line for the person who starts it.
    """

    reason: str

    def __str__(self) -> str:
        return self.reason
