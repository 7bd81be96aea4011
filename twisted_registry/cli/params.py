"""
Types of the arguments: models, versions, aliases, metadata.
"""

import math
import re
import time
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, ClassVar

import click
from click.shell_completion import CompletionItem

from twisted_registry.cli.server import Server
from twisted_registry.cli.text import is_word
from twisted_registry.domain.aliases import check_alias_name
from twisted_registry.domain.errors import RegistryError
from twisted_registry.domain.references import Reference

if TYPE_CHECKING:
    from twisted_registry.client import BlockingClient

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?inf(inity)?", re.IGNORECASE)

_COMPLETION_SECONDS = 3.0
"""How long the shell may wait for completions: short for a person, but enough for a busy registry."""


class ReferenceType(click.ParamType):  # type: ignore[type-arg]  # at run time older versions of click take none
    """
    A model or a version.

    Attributes:
        takes_versions: whether a version may be named.
        words: what names a version besides numbers and aliases.
    """

    name = "reference"
    takes_versions: ClassVar[bool] = True
    words: ClassVar[tuple[str, ...]] = ("latest",)

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
        Complete the id of a model of the registry, or the alias of a version after an ``@``.
        """
        if ctx.params.get("server") is None:
            return []  # The given address is not valid.
        try:
            server = Server.from_options(ctx.params)
            return [
                CompletionItem(text) for text in self._candidates(server, incomplete) if text.startswith(incomplete)
            ]
        except (RegistryError, OSError, click.ClickException):
            # There is no registry to ask, and nowhere to report it.
            return []

    def _candidates(self, server: Server, incomplete: str) -> Iterator[str]:
        model, at, _ = incomplete.rpartition("@")
        if not at:
            return _models(server)
        return _versions(server, Reference.parse(model), self.words) if self.takes_versions else iter(())


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


def _versions(server: Server, model: Reference, words: tuple[str, ...]) -> Iterator[str]:
    if is_word(model.model_id):
        with server.client(retry_seconds=0.0, deadline_seconds=_COMPLETION_SECONDS) as client:
            for name in sorted([*_aliases(client, model.model_id), *words]):
                yield f"{model}@{name}"


def _aliases(client: "BlockingClient", model_id: str) -> Collection[str]:
    from twisted_registry.client.errors import Unsupported

    try:
        return client.aliases(model_id)
    except Unsupported:
        return ()  # other registries have no aliases, but a latest version


class ModelType(ReferenceType):
    """
    A model, without a version.

    Attributes:
        why: why a version is refused.
    """

    name = "model"
    takes_versions = False

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


class AliasType(ReferenceType):
    """
    An alias of a model, ``MODEL@ALIAS``.

    Attributes:
        may_be_model: whether a model is accepted, too.
    """

    name = "alias"
    words = ()

    def __init__(self, may_be_model: bool = False) -> None:
        self.may_be_model = may_be_model

    def convert(self, value: "str | Reference", param: click.Parameter | None, ctx: click.Context | None) -> Reference:
        """
        Parse a reference to an alias.
        """
        reference = super().convert(value, param, ctx)
        if reference.alias is None and not (self.may_be_model and reference.is_model):
            self.fail(f"{str(value)!r} names no alias: write MODEL@ALIAS, such as walker@production", param, ctx)
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


class LabelType(click.ParamType):  # type: ignore[type-arg]  # at run time older versions of click take none
    """
    A change of a label: ``KEY=VALUE`` sets it, ``KEY-`` removes it.

    Attributes:
        setting: how a label is set.
        removal: how a label is removed.
    """

    name = "label"

    def __init__(self, setting: str = "KEY=VALUE", removal: str = "KEY-") -> None:
        self.setting = setting
        self.removal = removal

    def convert(
        self, value: "str | tuple[str, str | None]", param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str | None]:
        """
        Parse a change.

        Returns:
            the key, and its value; ``None`` to remove it.
        """
        if not isinstance(value, str):
            return value
        if "=" not in value and len(value) > 1 and value.endswith("-"):
            return value[:-1], None
        if "=" not in value:
            self.fail(f"{value!r} is neither {self.setting} nor {self.removal}", param, ctx)
        return PairType().convert(value, param, ctx)


class MetricType(click.ParamType):  # type: ignore[type-arg]  # at run time older versions of click take none
    """
    A change of a metric: ``NAME=NUMBER`` sets it, ``NAME-`` removes it.
    """

    name = "metric"

    def convert(
        self, value: "str | tuple[str, float | None]", param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, float | None]:
        """
        Parse a change.

        Returns:
            the name, and its value; ``None`` to remove it.
        """
        if not isinstance(value, str):
            return value
        name, text = LabelType("NAME=NUMBER", "NAME-").convert(value, param, ctx)
        if text is None:
            return name, None
        if not _NUMBER.fullmatch(text):
            self.fail(f"{text!r} in {value!r} is not a number, such as 203.5, 1e-3 or Infinity", param, ctx)
        number = float(text)
        if math.isinf(number) and "inf" not in text.casefold():
            self.fail(f"{text!r} in {value!r} is too large; numbers go up to 1.797e308", param, ctx)
        return name, number


class SetMetricType(MetricType):
    """
    A metric, ``NAME=NUMBER``.
    """

    def convert(
        self, value: "str | tuple[str, float | None]", param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, float | None]:
        """
        Parse a metric.
        """
        if isinstance(value, str) and "=" not in value:
            self.fail(f"{value!r} is not NAME=NUMBER", param, ctx)
        return super().convert(value, param, ctx)


class AliasNameType(click.ParamType):  # type: ignore[type-arg]  # at run time older versions of click take none
    """
    The name of an alias.
    """

    name = "alias"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """
        Check the name.
        """
        try:
            return check_alias_name(value)
        except RegistryError as error:
            self.fail(str(error), param, ctx)
