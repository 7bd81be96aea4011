"""
The command that restores a backup of an archive.
"""

import sys

import click

from twisted_registry.cli.archives import check_named, complete_directory, exit_on_archive_error
from twisted_registry.cli.backup_report import CopyReport
from twisted_registry.cli.errors import ExitStatus, report
from twisted_registry.cli.progress import ByteProgress
from twisted_registry.cli.text import harmless_id, harmless_line
from twisted_registry.domain.models import MAX_VERSION_NUMBER
from twisted_registry.storage.filesystem.backup.backups import newest_backup
from twisted_registry.storage.filesystem.backup.copy import JOBS
from twisted_registry.storage.filesystem.backup.restore import Restore, keep_numbers, prepare_root
from twisted_registry.storage.filesystem.number_raiser import DEFAULT_BY, NumberRaiser
from twisted_registry.storage.filesystem.verify.quarantine import locked

_HELP = f"""Restore a backup that 'archive backup' has made to the directory DIR, which must be empty or missing.

BACKUP is a backup, or a folder of backups, of which the newest is taken. All data is checked against its SHA-256. Then
the version numbers of all models are raised: versions that were created after the backup are lost, and their numbers
must not be assigned again, because clients cache versions by number. By default {DEFAULT_BY:,} numbers are skipped. No
daemon opens DIR before all of this is done. If the restore is interrupted, the same command goes on with it.

Run the command as the user of the daemon, so that the files belong to it.

\b
Exit status:
  0    the backup is restored
  1    the backup is restored, except for what is reported
  2    nothing is restored, or not all: BACKUP cannot be read, or DIR is not
       empty, in use, full, or cannot be written
  130  interrupted (143 by SIGTERM)

\b
Examples:
  twisted-registry archive restore /backups /data
  twisted-registry archive restore /backups/20260301T023000Z /data
  twisted-registry archive restore --by 0 /backups /data     # nothing was created after the backup
"""


@click.command(help=_HELP)
@click.argument("backup", metavar="BACKUP", shell_complete=complete_directory)
@click.argument("directory", metavar="DIR", shell_complete=complete_directory)
@click.option(
    "--by",
    type=click.IntRange(0, MAX_VERSION_NUMBER),
    metavar="N",
    help=f"Skip N numbers; {DEFAULT_BY:,} by default, 0 only if no version was created after the backup.",
)
@click.option("--to", type=click.IntRange(1, MAX_VERSION_NUMBER), metavar="N", help="Continue after number N.")
@click.option("--new-id", is_flag=True, help="Give the copy a new id, because the archive itself goes on elsewhere.")
@click.option(
    "--jobs", type=click.IntRange(1, 64), default=JOBS, metavar="N", help=f"Copy N files at once; by default {JOBS}."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object per line; the last one is a summary.")
@click.option("--quiet", is_flag=True, help="Print only damage.")
def restore(
    backup: str, directory: str, by: int | None, to: int | None, new_id: bool, jobs: int, as_json: bool, quiet: bool
) -> None:
    """
    Run the command.
    """
    check_named(backup, "BACKUP")
    check_named(directory)
    if by is not None and to is not None:
        raise click.UsageError("--by and --to cannot be combined")
    with exit_on_archive_error():
        source = newest_backup(backup)
        prepare_root(directory)
        with locked(directory), ByteProgress("restoring") as bar:
            restoring = Restore(source, directory, jobs=jobs, on_read=bar.advance)
            shown = CopyReport("restore", as_json, quiet, restoring.copy.counts)
            status = _restore(restoring, shown, bar, new_id)
            if status is not ExitStatus.INTERRUPTED:
                status = max(status, _raise_numbers(directory, by, to))
                shown.path = directory
            with bar.hidden():
                shown.summary(interrupted=status is ExitStatus.INTERRUPTED)
    sys.exit(status)


def _restore(restoring: Restore, shown: CopyReport, bar: ByteProgress, new_id: bool) -> ExitStatus:
    try:
        with restoring.copy:
            bar.set_total(restoring.copy.measure(()))
            for finding in restoring.run(with_new_id=new_id):
                with bar.hidden():
                    shown.finding(finding)
    except KeyboardInterrupt:
        return ExitStatus.INTERRUPTED
    return ExitStatus.FAILED if restoring.copy.counts.damaged else ExitStatus.DONE


def _raise_numbers(directory: str, by: int | None, to: int | None) -> ExitStatus:
    if by == 0:
        keep_numbers(directory)
        return ExitStatus.DONE
    models = list(NumberRaiser(directory, by or DEFAULT_BY, to).run())
    failed = [model for model in models if model.error]
    for model in failed:
        name = harmless_id(model.folder if model.model_id is None else model.model_id)
        report(f"{name}: its numbers were not raised: {harmless_line(model.error)}")
    if models and not any(model.is_raised for model in models):
        report("no numbers were raised: those of all models already continue after a higher number")
        return ExitStatus.FAILED
    return ExitStatus.FAILED if failed else ExitStatus.DONE
