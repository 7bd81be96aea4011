"""
Output of a verification: lines for people, JSON for programs.

Names in an archive may contain control characters, so they never reach a terminal unescaped.
"""

import time

from attrs import asdict, define, field

from twisted_registry.cli.output import json_line, print_line
from twisted_registry.cli.text import harmless
from twisted_registry.domain.errors import shown
from twisted_registry.domain.references import Reference
from twisted_registry.storage.filesystem.verify.archive import Counts
from twisted_registry.storage.filesystem.verify.findings import Finding
from twisted_registry.storage.filesystem.verify.quarantine import QuarantinedFinding


def _line(text: str) -> str:
    return text if text.isascii() and text.isprintable() else shown(text)


def subject(finding: Finding) -> str:
    """
    Return the subject of a finding: ``MODEL@NUMBER``, ``MODEL``, or a path.
    """
    if finding.model_id is None:
        return harmless(finding.path)
    model = harmless(str(Reference(finding.model_id)))
    return model if finding.version_number is None else f"{model}@{finding.version_number}"


def _word(finding: Finding) -> str:
    if not finding.is_damage:
        return "note"
    return "unread" if finding.is_unread else "damaged"


def finding_line(finding: Finding) -> str:
    """
    Return a finding as a line.
    """
    line = f"{_word(finding):<8} {subject(finding)}  {_line(finding.reason)}"
    # The path adds information only to a note on a model or a version.
    return line if finding.is_damage or finding.model_id is None else f"{line} ({harmless(finding.path)})"


def quarantined_line(result: QuarantinedFinding) -> str:
    """
    Return the result of quarantining damage as a line.
    """
    count = len(result.files)
    files = f"{count} file{'' if count == 1 else 's'}"
    return "  ".join(part for part in (f"{'moved':<8} {subject(result.finding)}", files, _line(result.remark)) if part)


def finding_object(finding: Finding) -> str:
    """
    Return a finding as JSON.
    """
    fields = {**asdict(finding), "kind": finding.kind.value}
    return json_line({"finding": "damage" if finding.is_damage else "note", **fields})


def quarantined_object(result: QuarantinedFinding) -> str:
    """
    Return the result of quarantining damage as JSON.
    """
    fields = {**asdict(result.finding), "kind": result.finding.kind.value}
    return json_line(
        {"finding": "moved" if result.files else "left", **fields, "files": result.files, "remark": result.remark}
    )


@define
class Summary:
    """
    The summary of a verification.

    Attributes:
        interrupted: whether the verification was interrupted.
        moved: how many files were moved to the quarantine.
    """

    counts: Counts
    damaged: int = 0
    notes: int = 0
    moved: int = 0
    quarantine: str = ""
    interrupted: bool = False
    started: float = field(factory=time.monotonic)

    def add(self, finding: Finding) -> None:
        """
        Count a finding.
        """
        if finding.is_damage:
            self.damaged += 1
        else:
            self.notes += 1

    def line(self) -> str:
        """
        Return the summary as a line.
        """
        seconds, rate = self._pace()
        counts = self.counts
        parts = [
            f"{'interrupted: ' if self.interrupted else ''}{counts.models:,} models",
            f"{counts.versions:,} versions",
            f"{counts.size_bytes:,} bytes in {seconds:.1f} s ({rate:,.0f} MB/s): {self.damaged:,} damaged",
            f"{self.notes:,} notes",
        ]
        if self.quarantine:
            parts.append(f"{self.moved:,} files moved to {self.quarantine}")
        return ", ".join(parts)

    def object(self) -> str:
        """
        Return the summary as JSON.
        """
        seconds, rate = self._pace()
        fields = {
            **asdict(self.counts),
            "seconds": round(seconds, 3),
            "megabytes_per_second": round(rate, 1),
            "damaged": self.damaged,
            "notes": self.notes,
            "moved": self.moved,
            "quarantine": self.quarantine,
            "interrupted": self.interrupted,
        }
        return json_line({"summary": fields})

    def _pace(self) -> tuple[float, float]:
        seconds = time.monotonic() - self.started
        return seconds, self.counts.size_bytes / 1e6 / max(seconds, 1e-9)


@define
class Reporter:
    """
    The output of a verification on stdout.

    Attributes:
        as_json: whether to print JSON, one object per line.
        quiet: whether to print only damage.
    """

    as_json: bool
    quiet: bool

    def finding(self, finding: Finding) -> None:
        """
        Print a finding.
        """
        if finding.is_damage or not self.quiet:
            print_line(finding_object(finding) if self.as_json else finding_line(finding))

    def moved(self, result: QuarantinedFinding) -> None:
        """
        Print the result of quarantining damage.
        """
        print_line(quarantined_object(result) if self.as_json else quarantined_line(result))

    def summary(self, summary: Summary) -> None:
        """
        Print the summary.
        """
        if not self.quiet:
            print_line(summary.object() if self.as_json else summary.line())
