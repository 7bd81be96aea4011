"""
The extras of a version, committed together with it: its idempotency key, its labels and metrics, and the moves of
aliases to it.
"""

from collections.abc import Sequence

from attrs import define, frozen

from twisted_registry.contracts.idempotency import StoredKey
from twisted_registry.domain.aliases import AliasMove
from twisted_registry.domain.annotations import NO_ANNOTATIONS, Annotations
from twisted_registry.domain.idempotency import version_facts
from twisted_registry.domain.models import VersionInfo
from twisted_registry.storage.filesystem.alias_journal import AliasJournals
from twisted_registry.storage.filesystem.annotations import AnnotationFiles
from twisted_registry.storage.filesystem.idempotency import KeyFiles
from twisted_registry.storage.filesystem.layout import ModelFolder
from twisted_registry.storage.filesystem.pending_commits import PendingCommits


@frozen(eq=False)
class ExtraFiles:
    """
    The parts of an archive that keep what is committed with a version.
    """

    keys: KeyFiles
    annotations: AnnotationFiles
    aliases: AliasJournals
    pending: PendingCommits


@define(eq=False)
class VersionExtras:
    """
    The extras of one version.  Most versions have none, which costs no system call.

    Attributes:
        key: the SHA-256 of the idempotency key, and the time in seconds since the Unix epoch; ``None`` if it has none.
        annotations: its labels and metrics.
        alias_moves: the moves of aliases to it.
    """

    _files: ExtraFiles
    key: tuple[str, int] | None = None
    annotations: Annotations = NO_ANNOTATIONS
    alias_moves: Sequence[AliasMove] = ()

    def create(self, folder: ModelFolder, info: VersionInfo) -> None:
        """
        Add the key, the labels and the metrics to the model's folder.  The caller syncs the folder.

        Raises:
            OSError: they cannot be added.
        """
        if self.key is not None:
            self._files.keys.create(folder, self._stored_key(self.key, info))
        if self.annotations != NO_ANNOTATIONS:
            self._files.annotations.create(folder, info.version_number, self.annotations)

    def move_aliases(self, folder: ModelFolder, info: VersionInfo) -> None:
        """
        Move the aliases, if the version will exist.  Durable when this returns.

        Raises:
            OSError: nothing has changed.
            StorageFailure: the medium failed.
        """
        if self.alias_moves:
            self._files.aliases.append_in(folder, self.alias_moves, info)

    def discard(self, folder: ModelFolder, info: VersionInfo) -> None:
        """
        Remove everything, because the version does not exist.  Never raises.
        """
        if self.key is not None:
            self._files.keys.discard(folder, self._stored_key(self.key, info))
        number = info.version_number
        if self.annotations != NO_ANNOTATIONS and not self._files.annotations.discard(folder, number):
            self._files.pending.note_leftover(folder, folder.annotations_name(number))
        if self.alias_moves:
            self._files.aliases.withdraw_in(folder, info)

    def _stored_key(self, key: tuple[str, int], info: VersionInfo) -> StoredKey:
        key_sha256, now_seconds = key
        return StoredKey(key_sha256, info.version_number, now_seconds, version_facts(info))
