"""
References to models and versions: ``MODEL``, ``MODEL@3``, ``MODEL@v3``, ``MODEL@-1``, ``MODEL@latest`` and
``MODEL@ALIAS``.

The last ``@`` of a reference separates the model's id from the version.  In a reference, and only there, an ``@`` of a
model's id is written ``%40``: version 3 of the model with the id ``team@eu`` is ``team%40eu@3``.  A ``%`` of an id that
comes before ``40`` or ``25`` is written ``%25``; any other ``%`` stands for itself.
"""

import re
from functools import lru_cache

from attrs import frozen

from twisted_registry.domain.aliases import RESERVED, check_alias_name
from twisted_registry.domain.errors import InvalidRequest, UnknownAlias, shown
from twisted_registry.domain.models import MAX_VERSION_NUMBER, check_model_id

LATEST = -1
"""The selector of the latest version."""

_NUMBER = re.compile(r"v?[0-9]+|-[0-9]+")
_ENCODED = re.compile(r"%(40|25)")
_TO_ENCODE = re.compile(r"@|%(?=40|25)")

_MAX_DIGITS = len(str(MAX_VERSION_NUMBER))
_SHOWN_CHARACTERS = 40
_SHORT_CHARACTERS = 256


@frozen
class Reference:
    """
    A reference to a model or one of its versions.

    Attributes:
        model_id: the model's id.
        selector: a version number, or -n for the n-th to last version; ``None`` for the model or an alias.
        alias: the alias of a version; ``None`` for the model or a selector.
    """

    model_id: str
    selector: int | None = None
    alias: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """
        Parse a reference.

        Raises:
            InvalidModelId: it names a model that cannot exist.
            InvalidRequest: it names a version that cannot exist.
        """
        return _parse_short(text) if len(text) <= _SHORT_CHARACTERS else _parse(text)

    @property
    def is_model(self) -> bool:
        """
        Return whether the reference names a model without a version.
        """
        return self.selector is None and self.alias is None

    @property
    def version(self) -> int:
        """
        The selector of a version, for a place that knows no aliases; the latest if the reference names no version.

        Raises:
            UnknownAlias: the reference names an alias.
        """
        if self.alias is not None:
            raise UnknownAlias(self.model_id, self.alias)
        return LATEST if self.selector is None else self.selector

    def __str__(self) -> str:
        """
        Return the text that ``parse`` reads.
        """
        model_id = _TO_ENCODE.sub(lambda match: "%40" if match[0] == "@" else "%25", self.model_id)
        version = self.selector if self.alias is None else self.alias
        return model_id if version is None else f"{model_id}@{version}"


def _parse(text: str) -> Reference:
    before, at, version = text.rpartition("@")
    if not at:
        return Reference(_decode(version))
    if version == "latest":
        return Reference(_decode(before), LATEST)
    if _NUMBER.fullmatch(version):
        return Reference(_decode(before), _number(version))
    return Reference(_decode(before), alias=_alias(text, version))


# The edge parses a reference to check permissions, and again to serve the call.
_parse_short = lru_cache(maxsize=256)(_parse)


def _decode(text: str) -> str:
    return check_model_id(_ENCODED.sub(lambda match: "@" if match[1] == "40" else "%", text))


def _number(text: str) -> int:
    is_short = len(text.lstrip("-v0")) <= _MAX_DIGITS  # Python converts only some thousand digits
    selector = int(text.removeprefix("v")) if is_short else 0
    if not 0 < abs(selector) <= MAX_VERSION_NUMBER:
        raise InvalidRequest(
            f"there is no version {text[:_SHOWN_CHARACTERS]}: numbers start at 1, and -1 is the latest"
        )
    return selector


def _alias(text: str, version: str) -> str:
    if RESERVED.fullmatch(version):
        raise InvalidRequest(f"{shown(version)} is not a version; write it in lower case: {shown(version.lower())}")
    try:
        return check_alias_name(version)
    except InvalidRequest:
        raise InvalidRequest(_not_a_version(text, version)) from None


def _not_a_version(text: str, version: str) -> str:
    hint = f"if this is a model's id, write {shown(str(Reference(text)))}"
    if not version:
        return f"no version follows the last @; write a number, latest or an alias after it, or leave it out: {hint}"
    return f"{shown(version)} after the last @ is not a number, latest or an alias; {hint}"
