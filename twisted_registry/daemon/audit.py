"""
The audit log of the daemon, from its settings, and what the daemon itself records there.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted_registry.access.audit.file import check_path
from twisted_registry.access.audit.log import AuditLog
from twisted_registry.config.access import AccessSettings
from twisted_registry.domain.access import SERVER_KIND
from twisted_registry.domain.errors import AuditUnavailable, CannotStart
from twisted_registry.domain.models import VersionInfo

_RETENTION = {"kind": SERVER_KIND, "name": "retention"}
_PROBLEM_MAX_CHARACTERS = 1024
_EVICTION = {"kind": SERVER_KIND, "name": "eviction"}


def check_audit_log(settings: AccessSettings) -> None:
    """
    Check the settings, and that the file can be written, without creating it.

    Raises:
        CannotStart: they do not fit together, or it cannot.
    """
    if settings.audit is None:
        if settings.is_audit_required:
            raise CannotStart("--audit-required needs an audit log; pass --audit-file too")
        return
    try:
        check_path(Path(settings.audit))
    except AuditUnavailable as error:
        raise _unusable(settings.audit, error) from None


def _unusable(path: str, error: AuditUnavailable) -> CannotStart:
    return CannotStart(f"the audit log {path} cannot be used: {error.reason}")


class DaemonAudit:
    """
    The audit log of a daemon.

    Attributes:
        log: the log; ``None`` if there is none.
    """

    def __init__(self, settings: AccessSettings) -> None:
        self.log: AuditLog | None = None
        if settings.audit is not None:
            self._path = settings.audit
            self.log = AuditLog(Path(settings.audit), is_required=settings.is_audit_required)

    def open(self) -> None:
        """
        Open the file.  This blocks.

        Raises:
            CannotStart: it cannot be used.
        """
        try:
            if self.log is not None:
                self.log.open()
        except AuditUnavailable as error:
            raise _unusable(self._path, error) from None

    def reopen(self) -> None:
        """
        Go on in the file that has the path now.
        """
        if self.log is not None:
            self.log.reopen()

    def close(self) -> None:
        """
        Write what is pending.  This blocks.
        """
        if self.log is not None:
            self.log.close()

    def reloaded(self, kind: str, path: str, problem: str) -> None:
        """
        Record that a file of access control was read again.

        Args:
            problem: why it cannot be used; empty if it is in force.
        """
        facts = {"problem": problem[:_PROBLEM_MAX_CHARACTERS]} if problem else {}
        self._append(event="reload", file=kind, path=path, result="FAILED" if problem else "OK", **facts)

    def deleted(self, model_id: str, numbers: Sequence[int]) -> None:
        """
        Record that a retention policy has deleted versions in the background.
        """
        self._append(event="deleted", identity=_RETENTION, model_id=model_id, version_numbers=numbers)

    def archived(self, info: VersionInfo) -> None:
        """
        Record that a version was archived instead of being evicted.
        """
        self._append(
            event="archived",
            identity=_EVICTION,
            model_id=info.model_id,
            version_number=info.version_number,
            size_bytes=info.size_bytes,
            sha256=info.sha256,
        )

    def _append(self, **entry: Any) -> None:
        if self.log is not None:
            self.log.append(entry)
