"""
Commands for the archive on disk.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from enum import IntEnum

import click
from click.shell_completion import CompletionItem

from twisted_registry.cli._progress import ByteProgress
from twisted_registry.cli._told import Summary, Teller
from twisted_registry.errors import RegistryError
from twisted_registry.storage.findings import Finding
from twisted_registry.storage.quarantine import Quarantine, locked
from twisted_registry.storage.scrub import Scrub, default_jobs

_VERIFY_HELP = """Verify the archive in DIR: names, metadata, sizes, and the hash of every version's data.

A daemon may be running on it meanwhile. Nothing is changed, unless --quarantine is given: then what is damaged is moved
to DIR/.0/quarantine, with a report; no daemon may be running, and no number is used again.

\b
Exit status:
  0    it is sound
  1    there is damage
  2    it cannot be verified, or not told, or is in use (--quarantine)
  130  interrupted

\b
Examples:
  twisted-registry archive verify /data
  twisted-registry archive verify --quiet /data || mail -s "models damaged" ops
  twisted-registry archive verify --json /data | jq 'select(.finding == "damage")'
  twisted-registry archive verify --quarantine /data
"""


class Status(IntEnum):
    """
    With what the command ends.
    """

    SOUND = 0
    DAMAGED = 1
    CANNOT = 2
    INTERRUPTED = 130


def _directories(ctx: click.Context, param: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    return [CompletionItem(incomplete, type="dir")]


@click.group()
def archive() -> None:
    """Look after an archive on disk."""


@archive.command(help=_VERIFY_HELP, short_help="Verify an archive, running or not.")
@click.argument("directory", metavar="DIR", shell_complete=_directories)
@click.option("--quarantine", is_flag=True, help="Move what is damaged aside.")
@click.option("--jobs", type=click.IntRange(1, 64), default=default_jobs, metavar="N", help="Work on N files at once.")
@click.option("--json", "as_json", is_flag=True, help="An object a line, the last one a summary.")
@click.option("--quiet", is_flag=True, help="Nothing but damage.")
def verify(directory: str, quarantine: bool, jobs: int, as_json: bool, quiet: bool) -> None:
    """
    Run the command.
    """
    if not directory:
        # A variable that is not set, most likely: to take the folder one stands in for it would be a bad surprise.
        raise click.BadParameter("the archive's directory has no name", param_hint="DIR")
    teller = Teller(as_json, quiet)
    with _telling_failure():
        sys.exit(_verify(directory, teller, jobs, quarantine))


@contextmanager
def _telling_failure() -> Iterator[None]:
    try:
        yield
    except RegistryError as error:
        click.echo(f"twisted-registry: {error}", err=True)
        sys.exit(Status.CANNOT)
    except OSError as error:
        # What is left in the buffer has nowhere to go either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        # Whoever has closed the pipe wants no more, and knows.
        if not isinstance(error, BrokenPipeError):
            click.echo(f"twisted-registry: cannot go on: {error.strerror or error}", err=True)
        sys.exit(Status.CANNOT)


def _verify(directory: str, teller: Teller, jobs: int, quarantine: bool) -> Status:
    with (
        locked(directory) if quarantine else nullcontext(),
        ByteProgress("verifying") as bar,
        Scrub(directory, jobs=jobs, read=bar.advance) as scrub,
    ):
        summary = Summary(scrub.counts)
        try:
            damage = _scrub(scrub, bar, teller, summary)
            if quarantine and damage:
                _put_aside(directory, damage, teller, summary)
        except KeyboardInterrupt:
            summary.interrupted = True
        with bar.put_by():
            teller.summary(summary)
    if summary.interrupted:
        return Status.INTERRUPTED
    return Status.DAMAGED if summary.damaged else Status.SOUND


def _scrub(scrub: Scrub, bar: ByteProgress, teller: Teller, summary: Summary) -> list[Finding]:
    damage = []
    bar.expect(scrub.measure())
    for finding in scrub.findings():
        summary.add(finding)
        if finding.is_damage:
            damage.append(finding)
        with bar.put_by():
            teller.finding(finding)
    return damage


def _put_aside(directory: str, damage: list[Finding], teller: Teller, summary: Summary) -> None:
    quarantine = Quarantine(directory)
    summary.quarantine = quarantine.path
    for put in quarantine.put_aside(damage):
        summary.moved += len(put.files)
        teller.put_aside(put)
