"""
A map from scopes of models to values.
"""

from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

from twisted_registry.domain.access import Scope

V = TypeVar("V")


class ScopeMap(Generic[V]):
    """
    Values for models and for prefixes of their ids.  The time of a look-up does not depend on how many there are.
    """

    def __init__(self, pairs: Iterable[tuple[Scope, V]] = ()) -> None:
        """

        Args:
            pairs: the values with their scopes.
        """
        self._exact: dict[str, list[V]] = {}
        self._prefixes: dict[int, dict[str, list[V]]] = {}
        for scope, value in pairs:
            self.add(scope, value)

    def __bool__(self) -> bool:
        return bool(self._exact or self._prefixes)

    def add(self, scope: Scope, value: V) -> None:
        """
        Add a value.
        """
        values = self._prefixes.setdefault(len(scope.text), {}) if scope.is_prefix else self._exact
        values.setdefault(scope.text, []).append(value)

    def find(self, model_id: str) -> Sequence[V]:
        """
        Return the values whose scopes contain a model, each once.
        """
        found = list(self._exact.get(model_id, ()))
        # There are few lengths, however many prefixes there are.
        for length, by_prefix in self._prefixes.items():
            if length <= len(model_id):
                found.extend(by_prefix.get(model_id[:length], ()))
        return list(dict.fromkeys(found)) if len(found) > 1 else found
