"""
Types of the arguments: models, versions, metadata.
"""

import time
from collections.abc import Iterator

import click
from click.shell_completion import CompletionItem

from twisted_registry.cli.server import Server
from twisted_registry.cli.text import is_word
from twisted_registry.domain.errors import RegistryError
from twisted_registry.domain.references import Reference

_COMPLETION_SECONDS = 3.0
"""How long the shell may wait for completions: short for a person, but enough for a busy registry."""


class ReferenceType(click.ParamType):  # type: ignore[type-arg]  # at run time older versions of click take none
    """
    A model or a version.
    """

    name = "reference"

    def convert(self, value: "str | Reference", param: click.Parameter | None, ctx: click.Context | None) -> Reference:
        """
        Parse a reference.
        """
        if isinstance(value, Reference):
            return value
        try:
            return Reference.parse(value)
        except RegistryError as error:
            self.fail(str(error), param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """
        Complete the id of a model of the registry.
        """
        if ctx.params.get("server") is None:
            return []  # The given address is not valid.
        try:
            server = Server.from_options(ctx.params)
            return [CompletionItem(text) for text in _models(server) if text.startswith(incomplete)]
        except (RegistryError, OSError, click.ClickException):
            # There is no registry to ask, and nowhere to report it.
            return []


def _models(server: Server) -> Iterator[str]:
    # Imported before the deadline starts, because that takes long on a busy machine.  A client imports it late.
    import twisted_registry.client._session  # noqa: F401

    with server.client(retry_seconds=0.0, deadline_seconds=_COMPLETION_SECONDS) as client:
        deadline = time.monotonic() + _COMPLETION_SECONDS
        for info in client.models():
            # The shells' scripts would split other ids, or expand them.
            if is_word(info.model_id):
                yield str(Reference(info.model_id))
            if time.monotonic() > deadline:
                return


class ModelType(ReferenceType):
    """
    A model, without a version.

    Attributes:
        why: why a version is refused.
    """

    name = "model"

    def __init__(self, why: str) -> None:
        self.why = why

    def convert(self, value: "str | Reference", param: click.Parameter | None, ctx: click.Context | None) -> Reference:
        """
        Parse a reference to a model.
        """
        reference = super().convert(value, param, ctx)
        if not reference.is_model:
            hint = f" (a model with this id is written {str(Reference(str(value)))!r})" if reference.alias else ""
            self.fail(f"{str(value)!r} names a version: {self.why}{hint}", param, ctx)
        return reference


class PairType(click.ParamType):  # type: ignore[type-arg]  # at run time older versions of click take none
    """
    An entry of metadata, ``KEY=VALUE``.
    """

    name = "pair"

    def convert(
        self, value: "str | tuple[str, str]", param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """
        Parse an entry.  The value may be empty, and may contain ``=``.
        """
        if not isinstance(value, str):
            return value
        key, equals, rest = value.partition("=")
        if not key or not equals:
            self.fail(f"{value!r} is not KEY=VALUE", param, ctx)
        try:
            value.encode()
        except UnicodeEncodeError:
            self.fail(f"{value!r} is not Unicode text", param, ctx)
        return key, rest
