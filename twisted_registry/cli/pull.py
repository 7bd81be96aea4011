"""
The command that retrieves versions.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from twisted_registry.cli._arguments import ReferenceType
from twisted_registry.cli._exits import EXITS, naming
from twisted_registry.cli._output import json_option, print_version
from twisted_registry.cli._progress import ByteProgress
from twisted_registry.cli._reference import REFERENCES, Reference
from twisted_registry.cli._server import Server, of_server
from twisted_registry.values import VersionInfo

if TYPE_CHECKING:
    from twisted_registry.client import BlockingClient

_HELP = f"""Retrieve the data of a version to FILE, or to stdout for -.

The data is checked against its hash. FILE gets its name when all of it has come and is right: until then whatever was
there before stays, and where it does not come so far nothing is left behind. To stdout the last piece comes when the
hash has matched; where it has not, the status tells.

{REFERENCES}
\b
Examples:
  twisted-registry pull walker walker.pt
  twisted-registry pull walker@3 walker.pt
  twisted-registry pull walker@-2 - | tar -x
"""


@click.command(help=_HELP, short_help="Retrieve a version to a file or stdout.", epilog=EXITS)
@click.argument("reference", metavar="MODEL[@VERSION]", type=ReferenceType())
@click.argument("file", type=click.Path(allow_dash=True))
@json_option
@of_server
def pull(server: Server, reference: Reference, file: str, as_json: bool) -> None:
    """
    Run the command.
    """
    if file == "-":
        _check_stdout(as_json)
    else:
        check_file(file)
    with server.client() as client:
        info = client.version(reference.model_id, reference.version)
        with ByteProgress("receiving") as bar:
            bar.expect(info.size_bytes)
            if file == "-":
                _to_stdout(client, info, bar)
            else:
                to_file(client, info, file, bar)
    if file != "-":
        print_version(info, as_json)


def check_file(file: str) -> None:
    """
    See that a file is named.

    @raise click.UsageError: it is a directory, or the name is empty.
    """
    if not file or Path(file).is_dir():
        raise click.UsageError(f"{file!r} is a directory: name the file in it" if file else "FILE has no name")


def to_file(client: "BlockingClient", info: VersionInfo, file: str, bar: ByteProgress) -> None:
    """
    Retrieve a version to a file, which a link may lead to.
    """
    path = Path(file).resolve()
    with naming(file):
        if not path.exists() or path.is_file():
            client.retrieve_file(info.model_id, path, info, progress=bar.advance)
        else:
            _to_special(client, info, path, bar)


def _to_special(client: "BlockingClient", info: VersionInfo, path: Path, bar: ByteProgress) -> None:
    # A device or a pipe is written to, and not replaced by a file.
    with path.open("wb", buffering=0) as special:
        for piece in client.retrieve_chunks(info.model_id, info, progress=bar.advance):
            special.write(piece)


def _check_stdout(as_json: bool) -> None:
    if as_json:
        raise click.UsageError("--json and - both want stdout: give a file")
    if sys.stdout.isatty():
        raise click.UsageError("stdout is a terminal: redirect it, or give a file")


def _to_stdout(client: "BlockingClient", info: VersionInfo, bar: ByteProgress) -> None:
    for piece in client.retrieve_chunks(info.model_id, info, progress=bar.advance):
        with naming("stdout"):
            sys.stdout.buffer.write(piece)
    with naming("stdout"):
        sys.stdout.buffer.flush()
