"""
A map from subjects to what the policy has for them.
"""

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

V = TypeVar("V")

ANYONE = "anyone"
"""The subject that stands for every caller, also for those without credentials."""


class SubjectMap(Generic[V]):
    """
    Values for subjects and for prefixes of subjects.  The time of a look-up does not depend on how many there are.
    """

    def __init__(self, pairs: Iterable[tuple[str, V]] = ()) -> None:
        """

        Args:
            pairs: the values, each with a subject, or with a prefix of subjects that ends with ``*``.
        """
        self._exact: dict[str, list[V]] = {}
        self._prefixes: dict[int, dict[str, list[V]]] = {}
        for subject, value in pairs:
            if subject.endswith("*"):
                by_prefix = self._prefixes.setdefault(len(subject) - 1, {})
                by_prefix.setdefault(subject[:-1], []).append(value)
            else:
                self._exact.setdefault(subject, []).append(value)

    def find(self, subject: str) -> Iterator[V]:
        """
        Iterate over the values of a subject.
        """
        yield from self._exact.get(subject, ())
        for length, by_prefix in self._prefixes.items():
            yield from by_prefix.get(subject[:length], ())
