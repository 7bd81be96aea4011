"""
The command that creates versions.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import IO, TYPE_CHECKING

import click

from twisted_registry.cli._arguments import ModelType
from twisted_registry.cli._exits import EXITS, fail
from twisted_registry.cli._output import json_option, print_version
from twisted_registry.cli._pairs import PairType
from twisted_registry.cli._progress import ByteProgress
from twisted_registry.cli._reference import Reference
from twisted_registry.cli._server import Server, of_server
from twisted_registry.cli._text import harmless_id
from twisted_registry.errors import UnknownModel

if TYPE_CHECKING:
    from twisted_registry.client import BlockingClient, Data

_HELP = """Create a version of MODEL from FILE, or from stdin for -.

It is transient: held in the registry's memory, told to all who watch, and evicted when there is no room. With --archive
it is on the registry's disk when the command ends, and never evicted. The registry gives it its number.

From stdin all is read before the first byte is sent, to a temporary file where it is large.

\b
Examples:
  twisted-registry push walker walker.pt
  twisted-registry push --archive walker walker.pt -u loss=0.03 -u epoch=7
  tar -c checkpoint/ | twisted-registry push --create walker -
  twisted-registry push --json walker walker.pt | jq .version_number
"""

_PIECE_BYTES = 1024 * 1024


@click.command(help=_HELP, short_help="Create a version from a file or stdin.", epilog=EXITS)
@click.argument("model", type=ModelType("the registry gives versions their numbers"))
@click.argument("file", type=click.Path(allow_dash=True))
@click.option("--archive", is_flag=True, help="Keep it on the registry's disk.")
@click.option("-u", "--user-data", type=PairType(), metavar="KEY=VALUE", multiple=True, help="Say so of the version.")
@click.option("--create", is_flag=True, help="Make the model where there is none.")
@json_option
@of_server
def push(
    server: Server,
    model: Reference,
    file: str,
    archive: bool,
    user_data: tuple[tuple[str, str], ...],
    create: bool,
    as_json: bool,
) -> None:
    """
    Run the command.
    """
    with _opened(file) as source, server.client() as client:
        _look_for(client, model.model_id, create)
        act = client.store if archive else client.publish
        with ByteProgress("sending") as bar:
            info = act(model.model_id, _data(source, bar), dict(user_data), progress=bar.advance)
    print_version(info, as_json)


def _opened(file: str) -> AbstractContextManager[IO[bytes]]:
    if file != "-":
        return open(file, "rb")
    if sys.stdin is None:
        raise click.UsageError("stdin is closed: give a file")
    return nullcontext(sys.stdin.buffer)


def _look_for(client: "BlockingClient", model_id: str, create: bool) -> None:
    # Before the data is read: of a pipe it is read but once.
    try:
        client.model(model_id)
    except UnknownModel:
        if not create:
            fail(f"there is no model {harmless_id(model_id)}; with --create it is made")
        client.save_model(model_id)


def _data(source: IO[bytes], bar: ByteProgress) -> "Data":
    if not source.seekable():
        return _gathered(source, bar)
    start = source.tell()
    bar.expect(source.seek(0, os.SEEK_END) - start)
    source.seek(start)
    return source


def _gathered(source: IO[bytes], bar: ByteProgress) -> Iterator[bytes]:
    bar.turn_to("reading")
    size_bytes = 0
    while piece := source.read(_PIECE_BYTES):
        yield piece
        size_bytes += len(piece)
        bar.advance(len(piece))
    bar.turn_to("sending", size_bytes)
