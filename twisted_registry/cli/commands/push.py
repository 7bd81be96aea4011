"""
The command that creates a version.
"""

import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click
from attrs import define, field

from twisted_registry.cli.details_options import NO_DETAILS, Details, details_options
from twisted_registry.cli.errors import EXIT_STATUS_HELP, ExitStatus, exit_on_interrupt, fail, report, status_for
from twisted_registry.cli.output import json_option, print_version
from twisted_registry.cli.params import ModelType, PairType
from twisted_registry.cli.progress import ByteProgress
from twisted_registry.cli.references import harmless_reference, model_word
from twisted_registry.cli.server import Server, with_server
from twisted_registry.cli.sibling_files import warnings
from twisted_registry.cli.text import harmless, harmless_id, is_word, size, timestamp
from twisted_registry.cli.unfinished_pushes import UnfinishedPush, remember
from twisted_registry.domain.errors import CorruptVersion, RegistryError, UnknownModel
from twisted_registry.domain.models import VersionInfo
from twisted_registry.domain.references import Reference

if TYPE_CHECKING:
    from twisted_registry.client import BlockingClient, Data, UploadState

_HELP = """Create a version of MODEL from FILE, or from stdin if FILE is -.

The version is transient: it is held in the registry's memory, and evicted when memory is short. With --archive it is on
the registry's disk when the command exits, and is never evicted. The registry assigns its number.

All of stdin is read before the first byte is sent, into a temporary file if it is large. A version is one file: if
files next to FILE seem to belong to the same model, a warning on stderr names them.

If a push of a large file is interrupted, the same push again, within an hour, sends only what the registry has not
received.

\b
Examples:
  twisted-registry push walker walker.pt
  twisted-registry push --archive walker walker.pt -u epoch=7 --metric return=203.5
  twisted-registry push --archive --alias production --reason "better on stairs" walker walker.pt
  tar -c checkpoint/ | twisted-registry push --create walker -
  twisted-registry push --json walker walker.pt | jq .version_number
"""

_PIECE_BYTES = 1024 * 1024

_MAX_BUFFERED_BYTES = 4 * 1024 * 1024
"""More than the client buffers: if more is left to send, the registry cannot have all of the data."""

_MAX_CANDIDATES = 100
"""The newest versions to search for the one that was created: others may have created some since."""


@click.command(help=_HELP, epilog=EXIT_STATUS_HELP)
@click.argument("model", type=ModelType("the registry assigns version numbers"))
@click.argument("file", type=click.Path(allow_dash=True))
@click.option("--archive", is_flag=True, help="Store the version on the registry's disk.")
@click.option(
    "-u",
    "--user-data",
    "metadata",
    type=PairType(),
    metavar="KEY=VALUE",
    multiple=True,
    help="Metadata of the version; may be repeated.",
)
@details_options
@click.option("--create", is_flag=True, help="Create the model if it does not exist.")
@json_option
@with_server
def push(
    server: Server,
    model: Reference,
    file: str,
    archive: bool,
    metadata: tuple[tuple[str, str], ...],
    details: Details,
    create: bool,
    as_json: bool,
) -> None:
    """
    Run the command.
    """
    creation = Creation(server, model.model_id, details=details)
    with exit_on_interrupt(creation.outcome), _open(file) as source:
        if file != "-":
            for warning in warnings(Path(file)):
                report(f"warning: {warning}")
        with server.client() as client:
            creation.created_model = _ensure_model(client, model.model_id, create)
            create_version = client.store if archive else client.publish
            if file != "-":
                facts = [sorted(dict(metadata).items()), *details.facts()]
                creation.unfinished = remember(server.address, model.model_id, Path(file), archive, facts)
            with ByteProgress("sending") as bar:
                data, sent = creation.data(source, bar), creation.sent_callback(bar)
                with creation.forgotten_if_refused():
                    creation.info = create_version(
                        model.model_id, data, dict(metadata), progress=sent, **creation.arguments()
                    )
        creation.finish()
        print_version(creation.info, as_json)


def _open(file: str) -> AbstractContextManager[IO[bytes]]:
    if os.path.isdir(file):
        fail(
            f"{harmless(file)} is a directory, and a version is one file: pack it, for example with "
            f"'tar -c {file if is_word(file) else 'DIRECTORY'} | twisted-registry push MODEL -'",
            ExitStatus.USAGE,
        )
    if file != "-":
        return open(file, "rb")
    if sys.stdin is None:
        raise click.UsageError("stdin is closed: name a file")
    return nullcontext(sys.stdin.buffer)


def _ensure_model(client: "BlockingClient", model_id: str, create: bool) -> bool:
    # The model is checked before the data is read, because a pipe can be read only once.
    try:
        client.model(model_id)
    except UnknownModel:
        if not create:
            fail(f"there is no model {harmless_id(model_id)}; --create creates it")
        client.ensure_model(model_id)
        return True
    return False


@define
class Creation:
    """
    A version that is being created.

    Attributes:
        created_ns: its creation time, which identifies it: no other version is created in the same nanosecond.
        created_model: whether its model was created for it.
        info: the version, once it exists.
        unfinished: the push, if the same one goes on with it.
        left_bytes: bytes that are not sent yet; infinite while the size is unknown.
    """

    _server: Server
    _model_id: str
    created_ns: int = field(factory=time.time_ns)
    created_model: bool = False
    info: VersionInfo | None = None
    unfinished: UnfinishedPush | None = None
    left_bytes: float = math.inf
    _size_bytes: int = 0
    _details: Details = NO_DETAILS

    def arguments(self) -> dict[str, Any]:
        """
        Return the version's details, and by what it is recognized: a key, or the time of its creation.
        """
        details = self._details.arguments()
        if self.unfinished is not None:
            return {"idempotency_key": self.unfinished.key, **details}
        # The time cannot be sent together with details.
        return details or {"created_ns": self.created_ns}

    def finish(self) -> None:
        """
        Forget the push: its outcome is known.
        """
        if self.unfinished is not None:
            self.unfinished.forget()

    @contextmanager
    def forgotten_if_refused(self) -> Iterator[None]:
        """
        Forget the push if the registry refuses it, so that a later one begins with another key.
        """
        try:
            yield
        except RegistryError as error:
            if _is_refusal(error):
                self.finish()
            raise

    def data(self, source: IO[bytes], bar: ByteProgress) -> "Data":
        """
        Return the data of a file or a pipe, for the client.
        """
        if not source.seekable():
            return self._read_pipe(source, bar)
        start = source.tell()
        self.left_bytes = self._size_bytes = source.seek(0, os.SEEK_END) - start
        bar.set_total(self._size_bytes)
        source.seek(start)
        return source

    def sent_callback(self, bar: ByteProgress) -> Callable[[int], None]:
        """
        Return a callback that takes the number of bytes just sent.
        """

        def sent(size_bytes: int) -> None:
            self.left_bytes -= size_bytes
            bar.advance(size_bytes)

        return sent

    def outcome(self) -> str:
        """
        Return a sentence on whether the version was created, for an interruption.
        """
        if self.info is not None:
            self.finish()
            return f"{harmless_reference(self._model_id, self.info.version_number)} was created"
        state = self._upload_state()
        if state is not None and state.version is not None:
            self.finish()
            return f"{harmless_reference(self._model_id, state.version.number)} was created"
        if self._is_partly_sent:
            model = f"; model {harmless_id(self._model_id)} was, and has no versions" if self.created_model else ""
            return f"no version was created{model}{self._kept(state)}"
        if state is not None:
            return (
                "it is not known whether a version was created: the same push again goes on, and creates no second one"
            )
        return self._found()

    @property
    def _is_partly_sent(self) -> bool:
        return self.left_bytes > _MAX_BUFFERED_BYTES

    def _upload_state(self) -> "UploadState | None":
        """
        Ask the registry how far a push is that can go on.

        Returns:
            ``None`` if the push cannot go on, or the registry cannot be asked.
        """
        if self.unfinished is None:
            return None
        key, states = self.unfinished.key, list["UploadState"]()

        def find(client: "BlockingClient") -> "UploadState | None":
            states.append(client.upload_state(self._model_id, key))
            # If everything was sent, the registry may still be committing the version.
            return states[-1] if states[-1].version is not None or self._is_partly_sent else None

        self._server.poll(find)
        return states[-1] if states else None

    def _kept(self, state: "UploadState | None") -> str:
        if state is None or state.expires_ns is None:
            return ""
        kept = f"{size(state.received_bytes)} of {size(self._size_bytes)} until {timestamp(state.expires_ns)}"
        return f"; the registry keeps {kept}, and the same push again goes on from there"

    def _found(self) -> str:
        number = None if self._details.arguments() else self._server.poll(self._find_number)
        if number is not None:
            return f"{harmless_reference(self._model_id, number)} was created"
        since = " or later" if self._details.arguments() else ""
        return (
            f"it is not known whether a version was created: if so, 'twisted-registry versions "
            f"{model_word(self._model_id)}' lists one of {timestamp(self.created_ns)}{since}"
        )

    def _read_pipe(self, source: IO[bytes], bar: ByteProgress) -> Iterator[bytes]:
        bar.restart("reading")
        size_bytes = 0
        while piece := source.read(_PIECE_BYTES):
            yield piece
            size_bytes += len(piece)
            bar.advance(len(piece))
        self.left_bytes = size_bytes
        bar.restart("sending", size_bytes)

    def _find_number(self, client: "BlockingClient") -> int | None:
        try:
            newest = client.latest(self._model_id).version_number
        except CorruptVersion as error:
            newest = error.version_number
        infos = client.versions(self._model_id, max(1, newest - _MAX_CANDIDATES + 1))
        return next((info.version_number for info in infos if info.created_ns == self.created_ns), None)


def _is_refusal(error: RegistryError) -> bool:
    """
    Return whether the registry refused a version, and will do so again.  After other errors the same push may go on.
    """
    # Imported late: it imports gRPC.
    from twisted_registry.client.errors import BadReply, IncidentReported, Overloaded, StorageFull, StorageReadOnly

    passing = BadReply | IncidentReported | Overloaded | StorageFull | StorageReadOnly
    return status_for(error) in (ExitStatus.FAILED, ExitStatus.USAGE) and not isinstance(error, passing)
