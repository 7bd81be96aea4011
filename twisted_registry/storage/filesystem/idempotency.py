"""
The idempotency keys of versions, each an empty file in its model's folder::

    .key-<version number>-<seconds since the Unix epoch>-<SHA-256 of the key>-<facts of the version>

A commit syncs its model's folder before the version's .yaml gets its name, and this makes the name of the key's file
durable too.  So a key needs no sync, and a version that survives a crash has its key.  If a crash leaves a key without
its version, the facts in its name match no version.  The name contains neither ``-v`` nor ``.yaml``, so the existing
registry ignores it.
"""

import os
import re
from collections.abc import Sequence

from attrs import frozen
from twisted.logger import Logger

from twisted_registry.contracts.idempotency import StoredKey
from twisted_registry.domain.errors import RegistryError, shown
from twisted_registry.storage.filesystem.failures import reading, reason_of
from twisted_registry.storage.filesystem.layout import ModelFolder
from twisted_registry.storage.filesystem.model_folders import ModelFolders
from twisted_registry.storage.filesystem.staging import StagingArea
from twisted_registry.storage.filesystem.system import within

_NAME = re.compile(r"\.key-([0-9]{6,10})-([0-9]{1,12})-([0-9a-f]{64})-([0-9a-f]{32})")

_log = Logger()


def key_file_name(key: StoredKey) -> str:
    """
    Return the name of a key's file.
    """
    return f".key-{key.version_number:06d}-{key.committed_seconds}-{key.key_sha256}-{key.facts}"


def parse_key_file_name(name: str) -> StoredKey | None:
    """
    Return the key whose file has a certain name; ``None`` if it is not the name of a key's file.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    number, seconds, key_sha256, facts = match.groups()
    key = StoredKey(key_sha256, int(number), int(seconds), facts)
    return key if key_file_name(key) == name else None


@frozen(eq=False)
class KeyFiles:
    """
    The keys in the folders of all models.  Its methods may be called in any thread.
    """

    _staging: StagingArea
    _models: ModelFolders

    def create(self, folder: ModelFolder, key: StoredKey) -> None:
        """
        Add a key to a model's folder.  The caller syncs the folder.

        Raises:
            OSError: it cannot be added.
        """
        system = self._staging.system
        # The file may exist already, if a failed commit is retried within the same second.
        path = within(folder.handle, key_file_name(key))
        system.close(system.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW))

    def discard(self, folder: ModelFolder, key: StoredKey) -> None:
        """
        Remove a key from a model's folder.  Never raises: a key without its version has no effect.
        """
        self._staging.discard(folder.handle, key_file_name(key))

    def stored(self, model_id: str) -> list[StoredKey]:
        """
        See ``IKeyedArchive.stored_keys``.
        """
        with reading(f"the idempotency keys of model {shown(model_id)}"), self._models.open(model_id) as folder:
            names = self._staging.system.listdir(folder.path)
        keys = (parse_key_file_name(name) for name in names)
        return [key for key in keys if key is not None]

    def remove(self, model_id: str, keys: Sequence[StoredKey]) -> None:
        """
        See ``IKeyedArchive.remove_keys``.
        """
        try:
            with self._models.open(model_id) as folder:
                for key in keys:
                    self.discard(folder, key)
        except RegistryError:
            return  # they were removed with the model, or the archive is unavailable and keeps them for now
        except OSError as error:
            _log.warn("expired keys of {id!r} stay for now: {reason}", id=model_id, reason=reason_of(error))
