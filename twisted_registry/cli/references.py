"""
How models and versions are named: ``MODEL``, ``MODEL@3``, ``MODEL@-1``.
"""

import re

from attrs import frozen

from twisted_registry.cli.text import harmless_id
from twisted_registry.domain.errors import InvalidModelId
from twisted_registry.domain.models import MAX_VERSION_NUMBER, check_model_id

REFERENCES = """\b
MODEL     the model; where a version is asked for, its latest
MODEL@3   its version 3
MODEL@-1  its latest version; -2 is the one before

What stands behind the last @ is the version, where it is a number or nothing. So the model whose own id is team@3 is
written team@3@, and its latest version team@3@-1.
"""

_REFERENCE = re.compile(r"(.*)@(-?[0-9]+|)", re.DOTALL)


@frozen
class Reference:
    """
    Names a model, or one of its versions.

    Attributes:
        selector: a version's number, or -n for the n-th to last; ``None`` for the model.
    """

    model_id: str
    selector: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """
        Read one.

        Raises:
            ValueError: it names nothing.
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
