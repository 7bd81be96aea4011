"""
The command that retrieves a version.
"""

import sys

import click

from twisted_registry.cli.errors import EXIT_STATUS_HELP, exit_on_interrupt
from twisted_registry.cli.output import json_option, print_version
from twisted_registry.cli.params import ReferenceType
from twisted_registry.cli.progress import ByteProgress
from twisted_registry.cli.records import read_info
from twisted_registry.cli.references import REFERENCES
from twisted_registry.cli.server import Server, with_server
from twisted_registry.cli.target import Target
from twisted_registry.domain.references import Reference

_HELP = f"""Retrieve the data of a version to FILE, or to stdout if FILE is -.

The data is checked against its SHA-256. FILE is replaced only when all data has arrived and is correct. If a large
version is interrupted, what has arrived stays beside FILE in a .part file, and the next pull of the same version goes
on from there. FILE keeps its mode and, if the system allows it, its owner. A symbolic link is followed; a pipe or a
device is written directly. On stdout the last piece is written only after the SHA-256 has matched; if it does not
match, the exit status is not 0.

{REFERENCES}
\b
Examples:
  twisted-registry pull walker walker.pt
  twisted-registry pull walker@production walker.pt
  twisted-registry pull walker@-2 - | tar -x
"""


@click.command(help=_HELP, epilog=EXIT_STATUS_HELP)
@click.argument("reference", metavar="MODEL[@VERSION]", type=ReferenceType())
@click.argument("file", type=click.Path(allow_dash=True))
@json_option
@with_server
def pull(server: Server, reference: Reference, file: str, as_json: bool) -> None:
    """
    Run the command.
    """
    target = Target(file)
    if target.is_stdout:
        _check_stdout(as_json)
    with exit_on_interrupt(target.outcome):
        target.check()
        with server.client() as client:
            info = read_info(client, reference)
            with ByteProgress("receiving") as bar:
                bar.set_total(info.size_bytes)
                target.retrieve(client, info, bar)
        if not target.is_stdout:
            print_version(info, as_json)


def _check_stdout(as_json: bool) -> None:
    if as_json:
        raise click.UsageError("--json and - both write to stdout: name a file")
    if sys.stdout.isatty():
        raise click.UsageError("stdout is a terminal: redirect it, or name a file")
