"""
How models and versions are named: C{MODEL}, C{MODEL@3}, C{MODEL@-1}.
"""

import re
import time
from collections.abc import Iterator

import click
from attrs import frozen
from click.shell_completion import CompletionItem

from twisted_registry.cli._server import Server
from twisted_registry.cli._text import PLAIN, harmless_id
from twisted_registry.errors import InvalidModelId, RegistryError
from twisted_registry.values import MAX_VERSION_NUMBER, check_model_id

REFERENCES = """\b
MODEL     the model; where a version is asked for, its latest
MODEL@3   its version 3
MODEL@-1  its latest version; -2 is the one before

What stands behind the last @ is the version, where it is a number or nothing. So the model whose own id is team@3 is
written team@3@, and its latest version team@3@-1.
"""

_REFERENCE = re.compile(r"(.*)@(-?[0-9]+|)", re.DOTALL)
_COMPLETION_SECONDS = 1.0


@frozen
class Reference:
    """
    Names a model, or one of its versions.

    @ivar selector: a version's number, or -n for the n-th to last; C{None} for the model.
    """

    model_id: str
    selector: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """
        Read one.

        @raise ValueError: it names nothing.
        """
        match = _REFERENCE.fullmatch(text)
        model_id, number = (match[1], match[2]) if match else (text, "")
        try:
            check_model_id(model_id)
        except InvalidModelId as error:
            raise ValueError(str(error)) from None
        selector = int(number) if number else None
        if selector is not None and not 0 < abs(selector) <= MAX_VERSION_NUMBER:
            raise ValueError(f"there is no version {number}: numbers start at 1, and -1 is the latest")
        return cls(model_id, selector)

    @property
    def version(self) -> int:
        """
        The selector of the version that is meant, the latest unless said otherwise.
        """
        return -1 if self.selector is None else self.selector

    def __str__(self) -> str:
        """
        Write it as it is read.
        """
        if self.selector is not None:
            return f"{self.model_id}@{self.selector}"
        return f"{self.model_id}@" if _REFERENCE.fullmatch(self.model_id) else self.model_id


def harmless_reference(model_id: str, version_number: int) -> str:
    """
    Name a version for people.
    """
    return f"{harmless_id(model_id)}@{version_number}"


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
    ends = time.monotonic() + _COMPLETION_SECONDS
    with server.client(patience_seconds=0.0, deadline_seconds=_COMPLETION_SECONDS) as client:
        for info in client.models():
            # The shells' scripts take others apart, or worse: expand them.
            if PLAIN.fullmatch(info.model_id):
                yield str(Reference(info.model_id))
            if time.monotonic() > ends:
                return


class ModelType(ReferenceType):
    """
    A model, and no version of it.

    @ivar why: what to say to whoever names a version.
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
