"""
The syntax of filters: a subset of https://google.aip.dev/160.

docs/reference/filters.md describes it for users.  ``OR`` binds tighter than ``AND``, as in the AIP.
"""

import re
from collections.abc import Iterator
from typing import NoReturn

from attrs import field, frozen

from twisted_registry.domain.errors import InvalidFilter, shown

MAX_CHARACTERS = 16 * 1024
MAX_COMPARISONS = 500
MAX_DEPTH = 32
"""How deep parentheses may be nested."""

_MAX_SEGMENTS = 32

_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\r\n]+)
    | "(?P<string>(?:[^"\\]|\\.)*)"
    | (?P<operator><=|>=|!=|[<>=:])
    | (?P<punctuation>[().,])
    | (?P<word>-?[^\s"<>=!:().,]+)
    | (?P<minus>-)
    """,
    re.VERBOSE | re.DOTALL,
)
_VALUE = re.compile(r"""[^\s"<>=!()]+""")
_ESCAPE = re.compile(r"\\(.)|(\*)", re.DOTALL)
_ESCAPED = '"\\*'

_KEYWORDS = ("AND", "OR", "NOT")
_SINGLE_QUOTE = "'"


@frozen
class Value:
    """
    The right side of a comparison.

    Attributes:
        text: the text, without quotes and escapes.
        column: where it begins.
        is_quoted: whether it was written in quotes.
        stars: indexes in the text of those ``*`` that are wildcards.
    """

    text: str
    column: int
    is_quoted: bool = False
    stars: tuple[int, ...] = ()


@frozen
class Path:
    """
    A field, or an entry of a field.

    Attributes:
        segments: the parts between the dots, without quotes.
        columns: where each of them begins.
    """

    segments: tuple[str, ...]
    columns: tuple[int, ...]


@frozen
class Comparison:
    """
    A comparison, or a field alone.

    Attributes:
        path: the left side.
        operator: ``=``, ``!=``, ``<``, ``<=``, ``>``, ``>=``, or ``:``; empty for a field alone.
        operator_column: where it stands, or would stand.
        value: the right side; ``None`` for a field alone.
    """

    path: Path
    operator: str
    operator_column: int
    value: Value | None


@frozen
class Not:
    """
    A negation.
    """

    part: "Node"


@frozen
class And:
    """
    A conjunction of two or more parts.
    """

    parts: tuple["Node", ...]


@frozen
class Or:
    """
    A disjunction of two or more parts.
    """

    parts: tuple["Node", ...]


Node = Comparison | Not | And | Or


@frozen
class _Token:
    kind: str
    text: str
    column: int
    end: int
    value: Value | None = field(default=None)

    @property
    def shown(self) -> str:
        return "the end" if self.kind == "end" else shown(self.text)


class Tokens:
    """
    The tokens of a filter or an order, read one after another.
    """

    def __init__(self, text: str, parameter: str) -> None:
        """

        Args:
            text: the filter or order.
            parameter: its name in errors.

        Raises:
            InvalidFilter: the text is too long.
        """
        self._text, self._parameter = text, parameter
        if len(text) > MAX_CHARACTERS:
            self.fail(MAX_CHARACTERS + 1, f"it has {len(text)} characters; at most {MAX_CHARACTERS} are allowed")
        self.next = self._read(0)

    def fail(self, column: int, reason: str) -> NoReturn:
        """
        Raise the error for a column.

        Raises:
            InvalidFilter: always.
        """
        raise InvalidFilter(self._parameter, column, reason)

    def take(self) -> _Token:
        """
        Return the next token, and read the one after it.
        """
        token = self.next
        self.next = self._read(token.end)
        return token

    def skip_minus(self) -> None:
        """
        Read the next token again, without the ``-`` that it begins with.
        """
        self.next = self._read(self.next.column)

    def take_value(self) -> Value:
        """
        Return the value that follows an operator: a string in quotes, or all up to a space or a parenthesis.

        Raises:
            InvalidFilter: no value follows.
        """
        token = self.next
        if token.value is not None:
            self.take()
            return token.value
        match = _VALUE.match(self._text, token.column - 1)
        if match is None:
            self.fail(token.column, f"expected a value, found {token.shown}")
        self.refuse_single_quote(match[0], token.column)
        self.next = self._read(match.end())
        return Value(match[0], token.column, stars=tuple(_indexes(match[0], "*")))

    def refuse_single_quote(self, text: str, column: int) -> None:
        """
        Refuse text without double quotes that begins with a single quote: it would be looked for with its quotes.

        Raises:
            InvalidFilter: it does.
        """
        if text.startswith(_SINGLE_QUOTE):
            self.fail(column, 'single quotes do not quote; use double quotes: "..."')

    def _read(self, start: int) -> _Token:
        match = _TOKEN.match(self._text, start)
        while match is not None and match.lastgroup == "space":
            start = match.end()
            match = _TOKEN.match(self._text, start)
        column = start + 1
        if start == len(self._text):
            return _Token("end", "", column, start)
        if match is None or match.lastgroup is None:
            reason = "the string has no closing quote" if self._text[start] == '"' else "this character is not expected"
            self.fail(column, f"{reason}: {shown(self._text[start : start + 20])}")
        kind = match.lastgroup
        value = self._string(match["string"], column) if kind == "string" else None
        return _Token(kind, match[0], column, match.end(), value)

    def _string(self, raw: str, column: int) -> Value:
        pieces: list[str] = []
        stars: list[int] = []
        length = last = 0
        for match in _ESCAPE.finditer(raw):
            if match[1] is not None and match[1] not in _ESCAPED:
                self.fail(column + 1 + match.start(), f'{shown(match[0])} is not an escape; use \\", \\\\ or \\*')
            pieces += (raw[last : match.start()], match[1] or "*")
            length += match.start() - last + 1
            last = match.end()
            if match[2]:
                stars.append(length - 1)
        return Value("".join([*pieces, raw[last:]]), column, True, tuple(stars))


def _indexes(text: str, character: str) -> Iterator[int]:
    return (index for index, each in enumerate(text) if each == character)


def parse_filter(text: str) -> Node | None:
    """
    Parse a filter.

    Returns:
        the root of its tree; ``None`` if it is empty, so that everything matches.

    Raises:
        InvalidFilter: it breaks a rule of the syntax, or is too long or too deep.
    """
    tokens = Tokens(text, "filter")
    if tokens.next.kind == "end":
        return None
    parser = _Parser(tokens)
    node = parser.expression(0)
    if tokens.next.kind != "end":
        parser.fail_after_term()
    return node


class _Parser:
    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._comparisons = 0

    def expression(self, depth: int) -> Node:
        parts = [self._factor(depth)]
        while self._takes("AND"):
            parts.append(self._factor(depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _factor(self, depth: int) -> Node:
        parts = [self._term(depth)]
        while self._takes("OR"):
            parts.append(self._term(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _takes(self, keyword: str) -> bool:
        token = self._tokens.next
        is_keyword = token.kind == "word" and token.text == keyword
        if is_keyword:
            self._tokens.take()
        return is_keyword

    def _term(self, depth: int) -> Node:
        if self._takes("NOT") or self._takes_minus():
            return Not(self._simple(depth))
        return self._simple(depth)

    def _takes_minus(self) -> bool:
        token = self._tokens.next
        if not token.text.startswith("-") or token.kind not in ("word", "minus"):
            return False
        self._tokens.skip_minus()
        return True

    def _simple(self, depth: int) -> Node:
        token = self._tokens.next
        if token.text != "(" or token.kind != "punctuation":
            return self._comparison()
        if depth >= MAX_DEPTH:
            self._tokens.fail(token.column, f"parentheses are nested more than {MAX_DEPTH} deep")
        self._tokens.take()
        node = self.expression(depth + 1)
        if self._tokens.next.text != ")" or self._tokens.next.kind != "punctuation":
            self.fail_after_term("a closing parenthesis")
        self._tokens.take()
        return node

    def _comparison(self) -> Comparison:
        path = read_path(self._tokens)
        self._comparisons += 1
        if self._comparisons > MAX_COMPARISONS:
            self._tokens.fail(path.columns[0], f"there are more than {MAX_COMPARISONS} comparisons")
        operator = self._tokens.next
        if operator.kind != "operator":
            return Comparison(path, "", operator.column, None)
        self._tokens.take()
        return Comparison(path, operator.text, operator.column, self._tokens.take_value())

    def fail_after_term(self, expected: str = "the end") -> NoReturn:
        token = self._tokens.next
        if token.text.upper() in _KEYWORDS and token.text not in _KEYWORDS:
            self._tokens.fail(
                token.column, f"expected {token.text.upper()}, found {token.shown}; keywords are upper case"
            )
        self._tokens.fail(token.column, f"expected AND, OR or {expected}, found {token.shown}")


def read_path(tokens: Tokens) -> Path:
    """
    Read a field, or an entry of a field, such as ``metrics.return`` or ``labels."a b"``.

    Raises:
        InvalidFilter: there is none.
    """
    segments: list[str] = []
    columns: list[int] = []
    while True:
        token = tokens.next
        if token.kind not in ("word", "string") or token.text in _KEYWORDS or (token.kind == "string" and not segments):
            tokens.fail(token.column, f"expected a field, found {token.shown}")
        if len(segments) == _MAX_SEGMENTS:
            tokens.fail(token.column, "there are too many dots; a key with dots is written in quotes")
        tokens.refuse_single_quote(token.text, token.column)
        tokens.take()
        segments.append(token.text if token.value is None else token.value.text)
        columns.append(token.column)
        if tokens.next.text != "." or tokens.next.kind != "punctuation":
            return Path(tuple(segments), tuple(columns))
        tokens.take()
