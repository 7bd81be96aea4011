"""
The command that verifies an audit log.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from twisted_registry.access.audit.verify import AuditFinding, AuditVerification
from twisted_registry.cli.errors import ExitStatus, exit_on_error
from twisted_registry.cli.output import json_line, print_line
from twisted_registry.cli.progress import ByteProgress
from twisted_registry.cli.text import harmless

_HELP = """Verify that the lines of an audit log are as they were written: that none was changed, removed or inserted.

Name all files of the log, also those that were rotated, in any order. A daemon may be writing to it. Compressed files
must be unpacked first.

Each line has the hash of the line before, so the last line vouches for all of them. Compare its number and its hash,
which are printed at the end, with those that you have noted elsewhere: a log whose end was removed is intact, but
shorter.

\b
Exit status:
  0    the log is intact
  1    lines were changed, removed or inserted
  2    a file cannot be read, or the output cannot be written
  130  interrupted

\b
Examples:
  twisted-registry audit verify /var/log/twisted-registry/audit.log*
  twisted-registry audit verify --json audit.log | jq 'select(.finding == "damage")'
"""


@click.command(help=_HELP)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object per line; the last one is a summary.")
@click.option("--quiet", is_flag=True, help="Print only damage.")
def verify(files: Sequence[Path], as_json: bool, quiet: bool) -> None:
    """
    Run the command.
    """
    with exit_on_error():
        status = _verify(AuditVerification(tuple(dict.fromkeys(files))), as_json=as_json, quiet=quiet)
    sys.exit(status)


def _verify(verification: AuditVerification, *, as_json: bool, quiet: bool) -> ExitStatus:
    counts = {True: 0, False: 0}
    with ByteProgress("verifying") as bar:
        verification.on_read = bar.advance
        bar.set_total(verification.size_bytes)
        for finding in verification.findings():
            counts[finding.is_damage] += 1
            if finding.is_damage or not quiet:
                with bar.hidden():
                    print_line(json_line(_object(finding)) if as_json else _text(finding))
    if not quiet:
        summary = _summary(verification, counts)
        print_line(json_line({"summary": summary}) if as_json else _summary_text(summary))
    return ExitStatus.FAILED if counts[True] else ExitStatus.DONE


def _text(finding: AuditFinding) -> str:
    word = "damaged" if finding.is_damage else "note"
    place = f"{finding.path}:{finding.line}" if finding.line else str(finding.path)
    return f"{word:<8} {harmless(place)}  {finding.reason}"


def _object(finding: AuditFinding) -> dict[str, Any]:
    word = "damage" if finding.is_damage else "note"
    return {"finding": word, "file": str(finding.path), "line": finding.line, "reason": finding.reason}


def _summary(verification: AuditVerification, counts: dict[bool, int]) -> dict[str, Any]:
    end = verification.end
    return {
        "files": len(verification.paths),
        "lines": verification.lines,
        "damaged": counts[True],
        "notes": counts[False],
        "last_seq": 0 if end is None else end.sequence,
        "last_sha256": "" if end is None else end.sha256,
    }


def _summary_text(summary: dict[str, Any]) -> str:
    end = f"; the last one is line {summary['last_seq']} of the log, with the hash {summary['last_sha256']}"
    return (
        f"{summary['lines']:,} lines in {summary['files']:,} files: {summary['damaged']:,} damaged, "
        f"{summary['notes']:,} notes{end if summary['lines'] else ''}"
    )
