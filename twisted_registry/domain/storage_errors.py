"""
Errors of the storage: it cannot be read or written, its contents are damaged, or the archive is a different one.
"""

from attrs import define

from twisted_registry.domain.error_base import RegistryError, shown

REWRITE_MODEL = "CreateOrUpdateModel rewrites its metadata"


@define
class StorageFull(RegistryError):
    """
    The storage medium is full.

    Attributes:
        reason: the medium's error.
        detail: how much is missing, in a sentence; empty if it is not known.
    """

    reason: str
    detail: str = ""

    def __str__(self) -> str:
        text = f"the registry's storage is full ({self.reason}); nothing was stored: free some space, then try again"
        return f"{text}. {self.detail}" if self.detail else text


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
            f"the archive ({self.reason}); its data is not: replace all labels and metrics (annotate "
            "with replace=True, or UpdateVersion with the mask '*')"
        )


@define
class CorruptAliases(RegistryError):
    """
    The history of a model's aliases is damaged in the archive: an alias may name another version than the registry
    knows, so none of the archived versions can be deleted safely.

    Attributes:
        model_id: the model's id.
    """

    model_id: str

    def __str__(self) -> str:
        return (
            f"the history of the aliases of model {shown(self.model_id)} is damaged in the archive, so an alias may "
            "name this version, and it is not deleted; look at where the aliases are, set those that are wrong again, "
            "then stop the daemon and run 'twisted-registry archive verify --quarantine'"
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
