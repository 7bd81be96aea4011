"""
The command that verifies an archive.
"""

import sys
from contextlib import nullcontext

import click

from twisted_registry.cli.archives import check_named, complete_directory, exit_on_archive_error
from twisted_registry.cli.errors import ExitStatus
from twisted_registry.cli.progress import ByteProgress
from twisted_registry.cli.verify_report import Reporter, Summary
from twisted_registry.storage.filesystem.verify.archive import Scrub, default_jobs
from twisted_registry.storage.filesystem.verify.findings import Finding
from twisted_registry.storage.filesystem.verify.quarantine import Quarantine, locked

_HELP = """Verify the archive in DIR: names, metadata, sizes, and the SHA-256 of the data of every version.

A daemon may be running on the archive. Nothing is changed, unless --quarantine is given: then no daemon may be running,
and damaged files are moved to DIR/.0/quarantine, with a report. Their version numbers are not used again.

\b
Exit status:
  0    the archive is intact
  1    the archive is damaged
  2    the archive cannot be verified, or the output cannot be written;
       with --quarantine also: the archive is in use
  130  interrupted

\b
Examples:
  twisted-registry archive verify /data
  twisted-registry archive verify --quiet /data || mail -s "models damaged" ops
  twisted-registry archive verify --json /data | jq 'select(.finding == "damage")'
  twisted-registry archive verify --quarantine /data
"""


@click.command(help=_HELP)
@click.argument("directory", metavar="DIR", shell_complete=complete_directory)
@click.option("--quarantine", is_flag=True, help="Move damaged files to the quarantine.")
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=default_jobs,
    metavar="N",
    help="Verify N files at once; by default two per processor, at most 16.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object per line; the last one is a summary.")
@click.option("--quiet", is_flag=True, help="Print only damage.")
def verify(directory: str, quarantine: bool, jobs: int, as_json: bool, quiet: bool) -> None:
    """
    Run the command.
    """
    check_named(directory)
    with exit_on_archive_error():
        status = _verify(directory, Reporter(as_json, quiet), jobs, quarantine)
    sys.exit(status)


def _verify(directory: str, reporter: Reporter, jobs: int, quarantine: bool) -> ExitStatus:
    with (
        locked(directory) if quarantine else nullcontext(),
        ByteProgress("verifying") as bar,
        Scrub(directory, jobs=jobs, on_read=bar.advance) as scrub,
    ):
        summary = Summary(scrub.counts)
        try:
            damage = _scrub(scrub, bar, reporter, summary)
            if quarantine and damage:
                _quarantine(directory, damage, reporter, summary)
        except KeyboardInterrupt:
            summary.interrupted = True
        with bar.hidden():
            reporter.summary(summary)
    if summary.interrupted:
        return ExitStatus.INTERRUPTED
    return ExitStatus.FAILED if summary.damaged else ExitStatus.DONE


def _scrub(scrub: Scrub, bar: ByteProgress, reporter: Reporter, summary: Summary) -> list[Finding]:
    damage = []
    bar.set_total(scrub.measure())
    for finding in scrub.findings():
        summary.add(finding)
        if finding.is_damage:
            damage.append(finding)
        with bar.hidden():
            reporter.finding(finding)
    return damage


def _quarantine(directory: str, damage: list[Finding], reporter: Reporter, summary: Summary) -> None:
    quarantine = Quarantine(directory)
    summary.quarantine = quarantine.path
    for result in quarantine.move(damage):
        summary.moved += len(result.files)
        reporter.moved(result)
