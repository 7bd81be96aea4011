"""
Descriptions of storage, such as ``filesystem:/data``.

A description is written like Twisted's endpoints::

    name:argument:argument:option=value

A backslash makes the next character literal; a ``:``, a ``=`` or a backslash inside an argument needs one.
"""

from collections.abc import Iterator

from attrs import field, frozen

from twisted_registry.domain.errors import CannotStart, shown

_SPECIAL = ":=\\"


@frozen
class Description:
    """
    A parsed description.

    Attributes:
        text: the description as it was written.
        name: the provider's name.
        arguments: the parts that are not options.
        options: the parts of the form ``name=value``.
    """

    text: str
    name: str
    arguments: tuple[str, ...] = ()
    options: dict[str, str] = field(factory=dict)


def escape(argument: str) -> str:
    """
    Return a text as one argument of a description.
    """
    return "".join(f"\\{character}" if character in _SPECIAL else character for character in argument)


def parse_description(text: str) -> Description:
    """
    Parse a description.

    Raises:
        CannotStart: it is malformed.
    """
    first, *others = _parts(text)
    if len(first) != 1 or not first[0]:
        raise CannotStart(f"the storage description {shown(text)} must begin with a provider's name")
    arguments: list[str] = []
    options: dict[str, str] = {}
    for part in others:
        if len(part) == 1:
            arguments.append(part[0])
        elif part[0] in options:
            raise CannotStart(f"the storage description {shown(text)} sets {part[0]} twice")
        else:
            options[part[0]] = part[1]
    return Description(text, first[0], tuple(arguments), options)


def _parts(text: str) -> list[list[str]]:
    """
    Split a description at its colons, and each part at its first equals sign.
    """
    parts = [[""]]
    for character, separates in _characters(text):
        if separates and character == ":":
            parts.append([""])
        elif separates and len(parts[-1]) == 1:
            parts[-1].append("")
        else:
            parts[-1][-1] += character
    return parts


def _characters(text: str) -> Iterator[tuple[str, bool]]:
    """
    Return each character of a description, and whether it is a separator.
    """
    characters = iter(text)
    for character in characters:
        if character == "\\":
            literal = next(characters, None)
            if literal is None:
                raise CannotStart(f"the storage description {shown(text)} ends with a single backslash; double it")
            yield literal, False
        else:
            yield character, character in ":="
