"""
The command that retrieves versions.
"""

import sys

import click

from twisted_registry.cli.errors import EXIT_STATUS_HELP, exit_on_interrupt
from twisted_registry.cli.output import json_option, print_version
from twisted_registry.cli.params import ReferenceType
from twisted_registry.cli.progress import ByteProgress
from twisted_registry.cli.references import REFERENCES, Reference
from twisted_registry.cli.server import Server, with_server
from twisted_registry.cli.target import Target

_HELP = f"""Retrieve the data of a version to FILE, or to stdout for -.

The data is checked against its hash. FILE gets its name when all of it has come and is right: until then whatever was
there before stays, and where it does not come so far nothing is left behind. FILE keeps its mode and, where the system
allows it, its owner. A link is followed; a pipe or a device is written to. To stdout the last piece comes when the hash
has matched; where it has not, the status tells.

{REFERENCES}
\b
Examples:
  twisted-registry pull walker walker.pt
  twisted-registry pull walker@3 walker.pt
  twisted-registry pull walker@-2 - | tar -x
"""


@click.command(help=_HELP, short_help="Retrieve a version to a file or stdout.", epilog=EXIT_STATUS_HELP)
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
            info = client.version(reference.model_id, reference.version)
            with ByteProgress("receiving") as bar:
                bar.expect(info.size_bytes)
                target.retrieve(client, info, bar)
        if not target.is_stdout:
            print_version(info, as_json)


def _check_stdout(as_json: bool) -> None:
    if as_json:
        raise click.UsageError("--json and - both want stdout: give a file")
    if sys.stdout.isatty():
        raise click.UsageError("stdout is a terminal: redirect it, or give a file")
