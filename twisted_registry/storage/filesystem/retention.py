"""
The retention policies of an archive: ``.retention`` in a model's folder, and ``retention`` in the private folder for
prefixes of ids.
"""

import os
from collections.abc import Callable
from threading import Lock
from typing import Any, TypeVar

from attrs import asdict, define, field

from twisted_registry.domain.errors import CorruptRetention, InvalidRequest, shown
from twisted_registry.domain.retention import KeepBest, RetentionPolicy, check_policy
from twisted_registry.storage.filesystem.documents import format_document, parse_document
from twisted_registry.storage.filesystem.failures import (
    Malformed,
    is_absent,
    is_link_loop,
    reading,
    unreadable,
    writing,
)
from twisted_registry.storage.filesystem.layout import PRIVATE_FOLDER, RETENTION, RETENTION_PREFIXES
from twisted_registry.storage.filesystem.metadata import MAX_METADATA_BYTES
from twisted_registry.storage.filesystem.model_folders import ModelFolders
from twisted_registry.storage.filesystem.pinned_directory import read_metadata
from twisted_registry.storage.filesystem.staging import StagingArea
from twisted_registry.storage.filesystem.system import within

T = TypeVar("T")


@define(eq=False)
class RetentionFiles:
    """
    The part of an archive that keeps retention policies.  Its methods may be called in any thread.
    """

    _staging: StagingArea
    _models: ModelFolders
    # Held while the policies of prefixes are read and written, because they share a file.
    _prefixes: Lock = field(factory=Lock)

    def load(self, model_id: str) -> RetentionPolicy | None:
        """
        See ``IRetentionStore.load_retention``.
        """
        subject = f"the retention policy of model {shown(model_id)}"
        path = self._models.path_within(model_id, RETENTION)
        with reading(subject):
            return self._read(path, parse_policy, subject)

    def save(self, model_id: str, policy: RetentionPolicy | None) -> None:
        """
        See ``IRetentionStore.save_retention``.
        """
        with writing(), self._models.open_existing(model_id) as folder:
            if policy is not None:
                self._staging.replace_file(folder.handle, RETENTION, format_document(asdict(policy)))
            else:
                self._staging.remove_file(folder.handle, RETENTION)

    def prefixes(self) -> dict[str, RetentionPolicy]:
        """
        See ``IRetentionStore.retention_prefixes``.
        """
        subject = "the retention policies of prefixes"
        path = within(self._staging.root.folder, os.path.join(PRIVATE_FOLDER, RETENTION_PREFIXES))
        with reading(subject):
            return self._read(path, parse_prefixes, subject) or {}

    def save_prefix(self, prefix: str, policy: RetentionPolicy | None) -> None:
        """
        See ``IRetentionStore.save_retention_prefix``.
        """
        with self._prefixes, writing():
            policies = {**self.prefixes(), prefix: policy}
            content = format_document({key: asdict(each) for key, each in policies.items() if each is not None})
            if len(content) > MAX_METADATA_BYTES:  # it could not be read again
                raise InvalidRequest(
                    f"the policies of all prefixes would take {len(content)} bytes, and at most {MAX_METADATA_BYTES} "
                    "are kept; remove some of them, or some of their rules"
                )
            self._staging.root.check()
            self._staging.replace_private_file(RETENTION_PREFIXES, content)

    def _read(self, path: str, parse: Callable[[bytes], T], subject: str) -> T | None:
        try:
            return parse(read_metadata(self._staging.system, path))
        except Malformed as error:
            raise CorruptRetention(subject, error.reason) from error
        except OSError as error:
            if is_absent(error):
                return None
            if is_link_loop(error):
                raise CorruptRetention(subject, unreadable(error)) from error
            raise


def parse_policy(content: bytes) -> RetentionPolicy:
    """
    Parse the file of a model.

    Raises:
        Malformed: it is damaged.
    """
    return _policy(parse_document(content))


def parse_prefixes(content: bytes) -> dict[str, RetentionPolicy]:
    """
    Parse the file with the policies of prefixes.

    Raises:
        Malformed: it is damaged.
    """
    values = parse_document(content)
    if not isinstance(values, dict):
        raise Malformed("it does not hold retention policies")
    return {prefix: _policy(policy) for prefix, policy in values.items()}


def _policy(values: Any) -> RetentionPolicy:
    # A rule that this program does not know must not be ignored: what it keeps would be deleted.
    try:
        best = tuple(KeepBest(**rule) for rule in values["keep_best"])
        return check_policy(RetentionPolicy(**{**values, "keep_best": best}))
    except (TypeError, KeyError, ValueError, InvalidRequest):
        raise Malformed("it does not hold a retention policy that this version knows") from None
