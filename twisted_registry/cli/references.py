"""
References to models and versions: ``MODEL``, ``MODEL@3``, ``MODEL@-1``.
"""

import re

from attrs import frozen

from twisted_registry.cli.text import harmless_id, is_word
from twisted_registry.domain.errors import InvalidModelId
from twisted_registry.domain.models import MAX_VERSION_NUMBER, check_model_id

REFERENCES = """\b
MODEL     the model, or its latest version
MODEL@3   its version 3
MODEL@-1  its latest version; -2 is the one before

The version follows the last @, if that is followed by a number or nothing. So the model with the id team@3 is written
team@3@, and its latest version team@3@-1.
"""

_REFERENCE = re.compile(r"(.*)@(-?[0-9]+|)", re.DOTALL)


@frozen
class Reference:
    """
    A reference to a model or one of its versions.

    Attributes:
        selector: a version number, or -n for the n-th latest version; ``None`` for the model.
    """

    model_id: str
    selector: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """
        Parse a reference.

        Raises:
            ValueError: the text is not a valid reference.
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
        The selector of a version; the latest if none is given.
        """
        return -1 if self.selector is None else self.selector

    def __str__(self) -> str:
        """
        Return the text that ``parse`` reads.
        """
        if self.selector is not None:
            return f"{self.model_id}@{self.selector}"
        return f"{self.model_id}@" if _REFERENCE.fullmatch(self.model_id) else self.model_id


def harmless_reference(model_id: str, version_number: int) -> str:
    """
    Return a version's reference for people, without control characters.
    """
    return f"{harmless_id(model_id)}@{version_number}"


def model_word(model_id: str) -> str:
    """
    Return a model as a word for a shell; a placeholder if a shell would split or expand its id.
    """
    return str(Reference(model_id)) if is_word(model_id) else "MODEL"
