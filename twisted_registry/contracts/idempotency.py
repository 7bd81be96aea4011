"""
Optional contracts of an archive that remembers idempotency keys with its versions.

With an archive that does not provide them, the registry remembers the keys of archived versions until it ends.
"""

from collections.abc import Sequence

from attrs import frozen
from zope.interface import Interface

from twisted_registry.contracts.streams import IArchiveWriter


@frozen
class StoredKey:
    """
    An idempotency key as an archive remembers it.

    Attributes:
        key_sha256: the SHA-256 of the key in hexadecimal.
        version_number: the number of the version that was created with it.
        committed_seconds: when that was, in seconds since the Unix epoch.
        facts: the version's ``version_facts``.  A version with other facts was not created with this key: a crash
            before the commit may leave a key behind, and another version may get the number.
    """

    key_sha256: str
    version_number: int
    committed_seconds: int
    facts: str


class IKeyedArchiveWriter(IArchiveWriter):
    """
    A writer that can store an idempotency key with its version.  Optional.
    """

    def set_key(key_sha256: str, now_seconds: int) -> None:
        """
        Store a key with the version.  Called before ``commit``, or ``ILifecycleWriter.commit_between``, which makes
        both durable: if the version exists after a crash, so does its key.

        Args:
            key_sha256: the SHA-256 of the key in hexadecimal.
            now_seconds: the time in seconds since the Unix epoch.
        """


class IKeyedArchive(Interface):
    """
    An archive whose writers provide ``IKeyedArchiveWriter``.  Optional, in addition to ``IArchive``.

    Deleting a model deletes its keys.
    """

    def stored_keys(model_id: str) -> list[StoredKey]:
        """
        Return the keys of a model's versions, in any order.  Some may be expired, or belong to no version.

        Args:
            model_id: the model's id.

        Raises:
            UnknownModel: the model does not exist.
            StorageFailure: the medium failed.
        """

    def remove_keys(model_id: str, keys: Sequence[StoredKey]) -> None:
        """
        Remove keys that are expired or belong to no version.  Need not be durable.  Never raises.

        Args:
            model_id: the model's id.
            keys: keys that ``stored_keys`` returned.
        """
