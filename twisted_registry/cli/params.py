"""
Models and versions as arguments of the commands.
"""

import time
from collections.abc import Iterator

import click
from click.shell_completion import CompletionItem

from twisted_registry.cli.references import Reference
from twisted_registry.cli.server import Server
from twisted_registry.cli.text import is_word
from twisted_registry.domain.errors import RegistryError

_COMPLETION_SECONDS = 3.0
"""How long a key may be without effect where the registry is away; one on a busy machine wants its time."""


class ReferenceType(click.ParamType):  # type: ignore[type-arg]  # at run time older ones of click take none
    """
    A model, or a version of it.
    """

    name = "reference"

    def convert(self, value: "str | Reference", param: click.Parameter | None, ctx: click.Context | None) -> Reference:
        """
        Read it.
        """
        if isinstance(value, Reference):
            return value
        try:
            return Reference.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """
        Ask the registry which models there are.
        """
        if ctx.params.get("server") is None:
            return []  # What was given as its address is none.
        try:
            server = Server.of(ctx.params)
            return [CompletionItem(text) for text in _models(server) if text.startswith(incomplete)]
        except (RegistryError, OSError, click.ClickException):
            # Nobody to ask, and nowhere to say so: what is typed stays as it is.
            return []


def _models(server: Server) -> Iterator[str]:
    with server.client(retry_seconds=0.0, deadline_seconds=_COMPLETION_SECONDS) as client:
        ends = time.monotonic() + _COMPLETION_SECONDS  # from here on: to import gRPC may take long by itself
        for info in client.models():
            # The shells' scripts take others apart, or worse: expand them.
            if is_word(info.model_id):
                yield str(Reference(info.model_id))
            if time.monotonic() > ends:
                return


class ModelType(ReferenceType):
    """
    A model, and no version of it.

    Attributes:
        why: what to say to whoever names a version.
    """

    name = "model"

    def __init__(self, why: str) -> None:
        self.why = why

    def convert(self, value: "str | Reference", param: click.Parameter | None, ctx: click.Context | None) -> Reference:
        """
        Read it.
        """
        reference = super().convert(value, param, ctx)
        if reference.selector is not None:
            self.fail(f"{str(reference)!r} names a version: {self.why}", param, ctx)
        return reference
