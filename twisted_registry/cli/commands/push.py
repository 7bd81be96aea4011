"""
The command that creates versions.
"""

import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click
from attrs import define, field

from twisted_registry.cli.advice import model_word
from twisted_registry.cli.errors import EXIT_STATUS_HELP, ExitStatus, exit_on_interrupt, fail, report
from twisted_registry.cli.output import json_option, print_version
from twisted_registry.cli.pairs import PairType
from twisted_registry.cli.params import ModelType
from twisted_registry.cli.progress import ByteProgress
from twisted_registry.cli.references import Reference, harmless_reference
from twisted_registry.cli.server import Server, with_server
from twisted_registry.cli.sibling_files import warnings
from twisted_registry.cli.text import harmless, harmless_id, is_word, timestamp
from twisted_registry.domain.errors import CorruptVersion, UnknownModel
from twisted_registry.domain.models import VersionInfo

if TYPE_CHECKING:
    from twisted_registry.client import BlockingClient, Data

_HELP = """Create a version of MODEL from FILE, or from stdin for -.

It is transient: held in the registry's memory, told to all who watch, and evicted when there is no room. With --archive
it is on the registry's disk when the command ends, and never evicted. The registry gives it its number.

From stdin all is read before the first byte is sent, to a temporary file where it is large. A version is one file:
where files beside FILE seem to belong to the same model, a warning on stderr names them.

\b
Examples:
  twisted-registry push walker walker.pt
  twisted-registry push --archive walker walker.pt -u loss=0.03 -u epoch=7
  tar -c checkpoint/ | twisted-registry push --create walker -
  twisted-registry push --json walker walker.pt | jq .version_number
"""

_PIECE_BYTES = 1024 * 1024

_MOST_HELD_BYTES = 4 * 1024 * 1024
"""More than the client holds back: where more is left, the registry has not got all of it."""

_MOST_LOOKED_AT = 100
"""Versions that others may have created meanwhile."""


@click.command(help=_HELP, short_help="Create a version from a file or stdin.", epilog=EXIT_STATUS_HELP)
@click.argument("model", type=ModelType("the registry gives versions their numbers"))
@click.argument("file", type=click.Path(allow_dash=True))
@click.option("--archive", is_flag=True, help="Keep it on the registry's disk.")
@click.option(
    "-u",
    "--user-data",
    "metadata",
    type=PairType(),
    metavar="KEY=VALUE",
    multiple=True,
    help="Say so of the version.",
)
@click.option("--create", is_flag=True, help="Make the model where there is none.")
@json_option
@with_server
def push(
    server: Server,
    model: Reference,
    file: str,
    archive: bool,
    metadata: tuple[tuple[str, str], ...],
    create: bool,
    as_json: bool,
) -> None:
    """
    Run the command.
    """
    creation = Creation(server, model.model_id)
    with exit_on_interrupt(creation.outcome), _opened(file) as source:
        if file != "-":
            for warning in warnings(Path(file)):
                report(f"warning: {warning}")
        with server.client() as client:
            creation.has_made_model = _has_made(client, model.model_id, create)
            act = client.store if archive else client.publish
            with ByteProgress("sending") as bar:
                data, sent = creation.data(source, bar), creation.sending(bar)
                creation.info = act(model.model_id, data, dict(metadata), created_ns=creation.created_ns, progress=sent)
        print_version(creation.info, as_json)


def _opened(file: str) -> AbstractContextManager[IO[bytes]]:
    if os.path.isdir(file):
        fail(
            f"{harmless(file)} is a folder, and a version is one file: pack it, such as with "
            f"'tar -c {file if is_word(file) else 'FOLDER'} | twisted-registry push MODEL -'",
            ExitStatus.USAGE,
        )
    if file != "-":
        return open(file, "rb")
    if sys.stdin is None:
        raise click.UsageError("stdin is closed: give a file")
    return nullcontext(sys.stdin.buffer)


def _has_made(client: "BlockingClient", model_id: str, create: bool) -> bool:
    # Before the data is read: of a pipe it is read but once.
    try:
        client.model(model_id)
    except UnknownModel:
        if not create:
            fail(f"there is no model {harmless_id(model_id)}; with --create it is made")
        client.ensure_model(model_id)
        return True
    return False


@define
class Creation:
    """
    What is known of a version that is being created.

    Attributes:
        created_ns: its time, by which it can be found: nobody else creates one in the same nanosecond.
        has_made_model: whether its model was made for it.
        info: the version, once it is there.
    """

    _server: Server
    _model_id: str
    created_ns: int = field(factory=time.time_ns)
    has_made_model: bool = False
    info: VersionInfo | None = None
    left_bytes: float = math.inf

    def data(self, source: IO[bytes], bar: ByteProgress) -> "Data":
        """
        Return the data of a file or a pipe for the client.
        """
        if not source.seekable():
            return self._gathered(source, bar)
        start = source.tell()
        self.left_bytes = source.seek(0, os.SEEK_END) - start
        bar.expect(int(self.left_bytes))
        source.seek(start)
        return source

    def sending(self, bar: ByteProgress) -> Callable[[int], None]:
        """
        Return what is to be called with how many bytes more were sent.
        """

        def sent(size_bytes: int) -> None:
            self.left_bytes -= size_bytes
            bar.advance(size_bytes)

        return sent

    def outcome(self) -> str:
        """
        Say what became of it after an interruption.
        """
        number = None if self.info is None else self.info.version_number
        if number is None and self.left_bytes <= _MOST_HELD_BYTES:
            number = self._server.poll(self._number)
            if number is None:
                word = model_word(self._model_id)
                return (
                    f"it is not known whether a version was made: if so, 'twisted-registry versions {word}' lists one "
                    f"of {timestamp(self.created_ns)}"
                )
        if number is not None:
            return f"{harmless_reference(self._model_id, number)} was made"
        made = f"; model {harmless_id(self._model_id)} was, and has none" if self.has_made_model else ""
        return f"no version was made{made}"

    def _gathered(self, source: IO[bytes], bar: ByteProgress) -> Iterator[bytes]:
        bar.restart("reading")
        size_bytes = 0
        while piece := source.read(_PIECE_BYTES):
            yield piece
            size_bytes += len(piece)
            bar.advance(len(piece))
        self.left_bytes = size_bytes
        bar.restart("sending", size_bytes)

    def _number(self, client: "BlockingClient") -> int | None:
        try:
            newest = client.latest(self._model_id).version_number
        except CorruptVersion as damaged:
            newest = damaged.version_number
        infos = client.versions(self._model_id, max(1, newest - _MOST_LOOKED_AT + 1))
        return next((info.version_number for info in infos if info.created_ns == self.created_ns), None)
