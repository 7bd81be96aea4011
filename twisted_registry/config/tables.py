"""
The checks of tables in TOML that several readers share.  They go on after a mistake, to report all of them.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from twisted_registry.domain.access import Scope
from twisted_registry.domain.error_base import shown

Table = Mapping[str, Any]
"""A table of TOML."""


class TableReader:
    """
    The mistakes in a file, and the checks of values that several of its tables have.

    Attributes:
        problems: what is wrong so far, and what to do, a line each.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []

    def refuse(self, problem: str) -> None:
        """
        Record a mistake.
        """
        self.problems.append(problem)

    def check_keys(self, where: str, table: Table, known: Collection[str]) -> None:
        """
        Check that a table has no unknown keys.

        Args:
            where: names the table in errors, such as 'grant 1'.
        """
        for key in table.keys() - set(known):
            close = get_close_matches(key, known, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"expected {', '.join(sorted(known))}"
            self.refuse(f"{where} has an unknown key {shown(key)}; {hint}")

    def tables(self, within: Table, key: str, path: str = "") -> Sequence[Table]:
        """
        Return the tables of an array such as ``[[grants]]``; none if they are missing or not tables.

        Args:
            path: the key as it stands in brackets, if the array is inside another table, such as 'issuers.grants'.
        """
        found = within.get(key, [])
        if isinstance(found, list) and all(isinstance(table, dict) for table in found):
            return found
        self.refuse(f"{key!r} must be tables; write [[{path or key}]] before each")
        return ()

    def texts(self, where: str, table: Table, key: str) -> Sequence[str]:
        """
        Return the value of a key that needs a text, or a list of texts.
        """
        value = table.get(key)
        texts = [value] if isinstance(value, str) else value
        if isinstance(texts, list) and texts and all(isinstance(text, str) for text in texts):
            return texts
        self.refuse(f"{where} needs {key!r}: a text, or a list of texts")
        return ()

    def scopes(self, where: str, table: Table, key: str = "models") -> Iterator[Scope]:
        """
        Yield the scopes of a key that needs a pattern of models, or a list of them.
        """
        for pattern in self.texts(where, table, key):
            try:
                yield Scope.parse(pattern)
            except ValueError as error:
                self.refuse(f"{where}: {error}")
