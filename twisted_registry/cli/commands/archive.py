"""
Commands for the archive on disk.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from enum import IntEnum

import click
from attrs import asdict
from click.shell_completion import CompletionItem

from twisted_registry.cli.errors import exit_on_interrupt
from twisted_registry.cli.output import print_object
from twisted_registry.cli.progress import ByteProgress
from twisted_registry.cli.text import harmless_id, harmless_line
from twisted_registry.cli.verify_report import Reporter, Summary
from twisted_registry.domain.errors import RegistryError
from twisted_registry.domain.models import MAX_VERSION_NUMBER
from twisted_registry.storage.filesystem.number_raiser import DEFAULT_BY, NumberRaiser, RaisedNumbers
from twisted_registry.storage.filesystem.verify.archive import Scrub, default_jobs
from twisted_registry.storage.filesystem.verify.findings import Finding
from twisted_registry.storage.filesystem.verify.quarantine import Quarantine, locked

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


_RAISE_HELP = f"""Raise the numbers of all models in the archive in DIR, after it was restored from a backup.

Versions that were created after the backup are lost, and their numbers must not be given again: clients know them by
these. So numbers go on higher than any that can have been given since. No daemon may be running. By default
{DEFAULT_BY:,} numbers are passed over, as many as a trainer needs in eleven days that creates a version each second;
give more with --by where that may not be enough, or a number beyond all that were seen with --to. Run it once: run
again, it raises them again.

\b
Exit status:
  0    all were raised
  1    those of some models were not
  2    it cannot be done: no archive, or in use, or not writable

\b
Examples:
  twisted-registry archive raise-numbers /data
  twisted-registry archive raise-numbers --to 20000 /data
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
    _check_named(directory)
    teller = Reporter(as_json, quiet)
    with _telling_failure():
        sys.exit(_verify(directory, teller, jobs, quarantine))


@archive.command("raise-numbers", help=_RAISE_HELP, short_help="Raise numbers after a backup was restored.")
@click.argument("directory", metavar="DIR", shell_complete=_directories)
@click.option("--by", type=click.IntRange(1, MAX_VERSION_NUMBER), metavar="N", help="Pass over N numbers.")
@click.option("--to", type=click.IntRange(1, MAX_VERSION_NUMBER), metavar="N", help="Go on after N.")
@click.option("--json", "as_json", is_flag=True, help="An object a line for each model.")
def raise_numbers(directory: str, by: int | None, to: int | None, as_json: bool) -> None:
    """
    Run the command.
    """
    _check_named(directory)
    if by is not None and to is not None:
        raise click.UsageError("--by and --to exclude each other")
    with _telling_failure():
        models: list[RaisedNumbers] = []
        said = "the numbers of {:,} models were raised, not yet those of all; run the command again"
        with exit_on_interrupt(lambda: said.format(len(models))), locked(directory):
            for model in _told(NumberRaiser(directory, by or DEFAULT_BY, to).models(), as_json):
                models.append(model)
        failed = sum(bool(model.error) for model in models)
        if not as_json:
            click.echo(f"models whose numbers were raised: {len(models) - failed:,}; models that failed: {failed:,}")
        sys.exit(Status.DAMAGED if failed else Status.SOUND)


def _told(models: Iterator[RaisedNumbers], as_json: bool) -> Iterator[RaisedNumbers]:
    for model in models:
        name = harmless_id(model.folder if model.model_id is None else model.model_id)
        if as_json:
            print_object(asdict(model))
        elif model.error:
            click.echo(f"{name}: not raised: {harmless_line(model.error)}", err=True)
        else:
            click.echo(f"{name}: numbers go on after {model.after}, not after {model.before}")
        yield model


def _check_named(directory: str) -> None:
    if not directory:
        # A variable that is not set, most likely: to take the folder one stands in for it would be a bad surprise.
        raise click.BadParameter("the archive's directory has no name", param_hint="DIR")


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


def _verify(directory: str, teller: Reporter, jobs: int, quarantine: bool) -> Status:
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
        with bar.hidden():
            teller.summary(summary)
    if summary.interrupted:
        return Status.INTERRUPTED
    return Status.DAMAGED if summary.damaged else Status.SOUND


def _scrub(scrub: Scrub, bar: ByteProgress, teller: Reporter, summary: Summary) -> list[Finding]:
    damage = []
    bar.expect(scrub.measure())
    for finding in scrub.findings():
        summary.add(finding)
        if finding.is_damage:
            damage.append(finding)
        with bar.hidden():
            teller.finding(finding)
    return damage


def _put_aside(directory: str, damage: list[Finding], teller: Reporter, summary: Summary) -> None:
    quarantine = Quarantine(directory)
    summary.quarantine = quarantine.path
    for put in quarantine.put_aside(damage):
        summary.moved += len(put.files)
        teller.put_aside(put)
