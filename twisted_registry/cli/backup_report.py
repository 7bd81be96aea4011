"""
Output of a backup or a restore: lines for people, JSON for programs.
"""

import time
from collections.abc import Sequence

from attrs import asdict, define, field

from twisted_registry.cli.output import json_line, print_line
from twisted_registry.cli.text import harmless
from twisted_registry.cli.verify_report import finding_line, finding_object
from twisted_registry.storage.filesystem.backup.copy import CopyCounts
from twisted_registry.storage.filesystem.verify.findings import Finding


@define
class CopyReport:
    """
    The output of a backup or a restore on stdout.

    Attributes:
        what: ``backup`` or ``restore``.
        path: where the copy is; empty until it is complete.
        removed: the names of older backups that were removed.
    """

    what: str
    as_json: bool
    quiet: bool
    counts: CopyCounts
    path: str = ""
    removed: Sequence[str] = ()
    started: float = field(factory=time.monotonic)

    def finding(self, finding: Finding) -> None:
        """
        Print a finding.
        """
        print_line(finding_object(finding) if self.as_json else finding_line(finding))

    def summary(self, *, interrupted: bool = False) -> None:
        """
        Print the summary, unless only damage is wanted.
        """
        if not self.quiet:
            print_line(self._object(interrupted) if self.as_json else self._line(interrupted))

    def _line(self, interrupted: bool) -> str:
        counts, seconds = self.counts, time.monotonic() - self.started
        head = f"{self.what} {harmless(self.path)}" if self.path else "interrupted; the same command goes on with it"
        rate = counts.new_bytes / 1e6 / max(seconds, 1e-9)
        parts = [
            f"{head}: {counts.models:,} models",
            f"{counts.versions:,} versions",
            f"{counts.size_bytes:,} bytes, {counts.new_bytes:,} of them copied, in {seconds:.1f} s ({rate:,.0f} MB/s)",
            f"{counts.damaged:,} damaged",
        ]
        if self.removed:
            parts.append(f"{len(self.removed):,} older removed")
        return ", ".join(parts)

    def _object(self, interrupted: bool) -> str:
        fields = {
            **asdict(self.counts),
            self.what: self.path or None,
            "seconds": round(time.monotonic() - self.started, 3),
            "removed": list(self.removed),
            "interrupted": interrupted,
        }
        return json_line({"summary": fields})
