"""
The command that raises version numbers after an archive was restored from a backup.
"""

import sys
from collections.abc import Iterator

import click
from attrs import asdict

from twisted_registry.cli.archives import check_named, complete_directory, exit_on_archive_error
from twisted_registry.cli.errors import ExitStatus, exit_on_interrupt
from twisted_registry.cli.output import print_object
from twisted_registry.cli.text import harmless_id, harmless_line
from twisted_registry.domain.models import MAX_VERSION_NUMBER
from twisted_registry.storage.filesystem.number_raiser import DEFAULT_BY, NumberRaiser, RaisedNumbers
from twisted_registry.storage.filesystem.verify.quarantine import locked

_HELP = f"""Raise the version numbers of all models in the archive in DIR, after it was restored from a backup.

Versions that were created after the backup are lost, and their numbers must not be assigned again: clients cache
versions by number. So new numbers start above every number that may have been assigned since. No daemon may be running.
By default {DEFAULT_BY:,} numbers are skipped, as many as a trainer uses in eleven days if it creates a version each
second. If that may be too few, skip more with --by, or a number above all known ones with --to. Run the command once:
each run raises the numbers again.

\b
Exit status:
  0    all numbers were raised
  1    some models failed, or no number was below --to
  2    there is no archive, or it is in use, or it cannot be written

\b
Examples:
  twisted-registry archive raise-numbers /data
  twisted-registry archive raise-numbers --to 20000 /data
"""


@click.command("raise-numbers", help=_HELP)
@click.argument("directory", metavar="DIR", shell_complete=complete_directory)
@click.option(
    "--by", type=click.IntRange(1, MAX_VERSION_NUMBER), metavar="N", help=f"Skip N numbers; {DEFAULT_BY:,} by default."
)
@click.option("--to", type=click.IntRange(1, MAX_VERSION_NUMBER), metavar="N", help="Continue after number N.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object per line, for each model.")
def raise_numbers(directory: str, by: int | None, to: int | None, as_json: bool) -> None:
    """
    Run the command.
    """
    check_named(directory)
    if by is not None and to is not None:
        raise click.UsageError("--by and --to cannot be combined")
    models: list[RaisedNumbers] = []
    partial = "the numbers of {:,} models were raised, those of the others were not; run the command again"
    with exit_on_archive_error():
        with exit_on_interrupt(lambda: partial.format(sum(model.is_raised for model in models))), locked(directory):
            for model in _printed(NumberRaiser(directory, by or DEFAULT_BY, to).run(), to, as_json):
                models.append(model)
        raised, failed = sum(model.is_raised for model in models), sum(bool(model.error) for model in models)
        if not as_json:
            click.echo(f"models whose numbers were raised: {raised:,}; models that failed: {failed:,}")
    sys.exit(ExitStatus.FAILED if failed or (models and not raised) else ExitStatus.DONE)


def _printed(models: Iterator[RaisedNumbers], to: int | None, as_json: bool) -> Iterator[RaisedNumbers]:
    for model in models:
        name = harmless_id(model.folder if model.model_id is None else model.model_id)
        if as_json:
            print_object(asdict(model))
        elif model.error:
            click.echo(f"{name}: not raised: {harmless_line(model.error)}", err=True)
        elif not model.is_raised:
            click.echo(f"{name}: numbers already continue after {model.after}, which is not below --to {to}")
        else:
            click.echo(f"{name}: numbers continue after {model.after}, not after {model.before}")
        yield model
