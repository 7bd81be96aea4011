"""
References to models and versions: ``MODEL``, ``MODEL@3``, ``MODEL@v3``, ``MODEL@-1``, ``MODEL@latest``.

The last ``@`` of a reference separates the model's id from the version, if a number, ``v`` and a number, ``latest`` or
nothing follows it.  Otherwise the whole reference is a model's id.  So the model with the id ``team@3`` is written
``team@3@``, and its latest version ``team@3@latest``.
"""

import re

from attrs import frozen

from twisted_registry.domain.errors import InvalidRequest
from twisted_registry.domain.models import MAX_VERSION_NUMBER, check_model_id

LATEST = -1
"""The selector of the latest version."""

_REFERENCE = re.compile(r"(?P<model_id>.*)@(?P<version>-?[0-9]+|v[0-9]+|latest|)", re.DOTALL)

_MAX_DIGITS = len(str(MAX_VERSION_NUMBER))
_SHOWN_CHARACTERS = 40


@frozen
class Reference:
    """
    A reference to a model or one of its versions.

    Attributes:
        model_id: the model's id.
        selector: a version number, or -n for the n-th to last version; ``None`` for the model.
    """

    model_id: str
    selector: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """
        Parse a reference.

        Raises:
            InvalidModelId: it names a model that cannot exist.
            InvalidRequest: it names a version that cannot exist.
        """
        match = _REFERENCE.fullmatch(text)
        if match is None:
            return cls(check_model_id(text))
        return cls(check_model_id(match["model_id"]), _selector(match["version"]))

    @property
    def version(self) -> int:
        """
        The selector of a version; the latest if the reference names none.
        """
        return LATEST if self.selector is None else self.selector

    def __str__(self) -> str:
        """
        Return the text that ``parse`` reads.
        """
        if self.selector is not None:
            return f"{self.model_id}@{self.selector}"
        return f"{self.model_id}@" if _REFERENCE.fullmatch(self.model_id) else self.model_id


def _selector(version: str) -> int | None:
    if version in ("", "latest"):
        return LATEST if version else None
    is_short = len(version.lstrip("-v0")) <= _MAX_DIGITS  # Python converts only some thousand digits
    selector = int(version.removeprefix("v")) if is_short else 0
    if not 0 < abs(selector) <= MAX_VERSION_NUMBER:
        raise InvalidRequest(
            f"there is no version {version[:_SHOWN_CHARACTERS]}: numbers start at 1, and -1 is the latest"
        )
    return selector
