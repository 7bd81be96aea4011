"""
The policy: which roles there are, and who has them on which models.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from attrs import define, field, frozen
from zope.interface import implementer

from twisted_registry.contracts.access import IPolicy
from twisted_registry.domain.access import ROLES, Action, Grant, Identity

ANYONE = "anyone"
"""The subject of grants for every caller, also for those without credentials."""


@define
class _Subjects:
    """
    Grants by subject.

    Attributes:
        exact: those of single subjects.
        prefixes: those of all subjects that begin with a prefix, by its length.
    """

    exact: dict[str, list[Grant]] = field(factory=dict)
    prefixes: dict[int, dict[str, list[Grant]]] = field(factory=dict)

    def add(self, subject: str, grant: Grant) -> None:
        if subject.endswith("*"):
            by_prefix = self.prefixes.setdefault(len(subject) - 1, {})
            by_prefix.setdefault(subject[:-1], []).append(grant)
        else:
            self.exact.setdefault(subject, []).append(grant)

    def find(self, subject: str) -> Iterable[Grant]:
        yield from self.exact.get(subject, ())
        for length, by_prefix in self.prefixes.items():
            yield from by_prefix.get(subject[:length], ())


@frozen
class PolicyRules:
    """
    The content of a policy.

    Attributes:
        roles: the actions of each role: the built-in ones, and those of the policy.
        grants: pairs of a subject, or a prefix of subjects that ends with ``*``, and what it is granted.
    """

    roles: Mapping[str, frozenset[Action]] = field(default=ROLES)
    grants: Sequence[tuple[str, Grant]] = ()


@implementer(IPolicy)
class Policy:
    """
    The policy in force.  ``replace`` changes it.
    """

    def __init__(self, rules: PolicyRules | None = None) -> None:
        """

        Args:
            rules: the rules at first; by default, the built-in roles and no grants.
        """
        self._changed: list[Callable[[], None]] = []
        self.replace(PolicyRules() if rules is None else rules)

    @property
    def roles(self) -> Mapping[str, frozenset[Action]]:
        """
        The actions of each role.
        """
        return self._rules.roles

    def replace(self, rules: PolicyRules) -> None:
        """
        Replace the rules.
        """
        subjects = _Subjects()
        for subject, grant in rules.grants:
            subjects.add(subject, grant)
        self._rules, self._subjects = rules, subjects
        for changed in self._changed:
            changed()

    def on_change(self, changed: Callable[[], None]) -> None:
        """See ``IPolicy.on_change``."""
        self._changed.append(changed)

    def grants_of(self, identity: Identity) -> Sequence[Grant]:
        """See ``IPolicy.grants_of``."""
        subjects = (ANYONE,) if identity.is_anonymous else (identity.subject, *identity.groups, ANYONE)
        return [grant for subject in subjects for grant in self._subjects.find(subject)]
