"""
The command that makes a backup of an archive.
"""

import os
import sys
from contextlib import suppress

import click

from twisted_registry.cli.archives import check_named, complete_directory, exit_on_archive_error
from twisted_registry.cli.backup_report import CopyReport
from twisted_registry.cli.errors import ExitStatus
from twisted_registry.cli.progress import ByteProgress, report_beside_bar
from twisted_registry.storage.filesystem.backup.backups import Backups
from twisted_registry.storage.filesystem.backup.copy import JOBS, ArchiveCopy

_HELP = """Make a backup of the archive in DIR in the folder TARGET, while a daemon uses the archive or not.

The backup is a folder in TARGET, named by the time when the backup began. It is a whole archive, and has every version
that was acknowledged before the command began and was not deleted meanwhile. Files that have not changed since the
last backup are not copied again: both backups share them by hard links. All copied data is checked against its SHA-256.
Only a complete backup gets its name; if it was interrupted, the same command goes on with what it has copied. DIR is
not changed. Damaged files are reported, and do not keep the rest from being copied.

\b
Exit status:
  0    the backup is complete
  1    the backup is complete, except for files that are damaged or unread
  2    there is no backup: DIR cannot be read, or TARGET is full or cannot be
       written; or the output cannot be written
  130  interrupted (143 by SIGTERM)

\b
Examples:
  twisted-registry archive backup /data /backups
  twisted-registry archive backup --keep 14 --quiet /data /backups
  twisted-registry archive backup --json /data /backups | jq --raw-output 'select(.summary) | .summary.backup'
"""


@click.command(help=_HELP)
@click.argument("directory", metavar="DIR", shell_complete=complete_directory)
@click.argument("target", metavar="TARGET", shell_complete=complete_directory)
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    metavar="N",
    help="Remove all backups in TARGET but the newest N, if this one is complete and nothing is damaged.",
)
@click.option(
    "--jobs", type=click.IntRange(1, 64), default=JOBS, metavar="N", help=f"Copy N files at once; by default {JOBS}."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object per line; the last one is a summary.")
@click.option("--quiet", is_flag=True, help="Print only damage.")
def backup(directory: str, target: str, keep: int | None, jobs: int, as_json: bool, quiet: bool) -> None:
    """
    Run the command.
    """
    check_named(directory)
    check_named(target, "TARGET")
    with suppress(OSError):
        os.nice(10)  # the daemon's calls come first
    with exit_on_archive_error():
        status = _back_up(directory, target, keep, jobs, as_json, quiet)
    sys.exit(status)


def _back_up(directory: str, target: str, keep: int | None, jobs: int, as_json: bool, quiet: bool) -> ExitStatus:
    with (
        ByteProgress("copying") as bar,
        ArchiveCopy(directory, jobs=jobs, on_read=bar.advance) as copy,
        Backups(target) as backups,
    ):
        report = CopyReport("backup", as_json, quiet, copy.counts)
        try:
            _copy(copy, backups, bar, report, keep)
        except KeyboardInterrupt:
            with bar.hidden():
                report.summary(interrupted=True)
            return ExitStatus.INTERRUPTED
        with bar.hidden():
            report.summary()
    return ExitStatus.FAILED if copy.counts.damaged else ExitStatus.DONE


def _copy(copy: ArchiveCopy, backups: Backups, bar: ByteProgress, report: CopyReport, keep: int | None) -> None:
    backups.check_apart(copy.root)
    if backups.is_same_disk(copy.root) and not report.quiet:
        report_beside_bar("TARGET is on the same file system as the archive: a failure of that disk takes both")
    target = backups.start()
    size_bytes = copy.measure(target.earlier)
    bar.set_total(size_bytes)
    backups.check_space(size_bytes)
    for finding in copy.run(target):
        with bar.hidden():
            report.finding(finding)
    name = backups.finish(target, copy.counts)
    report.path = os.path.join(backups.path, name)
    if keep is not None and not copy.counts.damaged:
        report.removed = list(backups.remove_older(name, keep))
