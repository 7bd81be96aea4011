"""
The policy: which roles there are, and who has them on which models.
"""

from collections.abc import Callable, Mapping, Sequence

from attrs import field, frozen
from zope.interface import implementer

from twisted_registry.access.issuers.issuer import Issuer
from twisted_registry.access.policy.subject_map import ANYONE, SubjectMap
from twisted_registry.contracts.access import IPolicy
from twisted_registry.domain.access import ROLES, Action, Grant, Identity
from twisted_registry.domain.quotas import Quota


@frozen
class PolicyRules:
    """
    The content of a policy.

    Attributes:
        roles: the actions of each role: the built-in ones, and those of the policy.
        grants: pairs of a subject, or a prefix of subjects that ends with ``*``, and what it is granted.
        quotas: how much callers and models may use.
        issuers: the issuers whose JSON Web Tokens are accepted.
    """

    roles: Mapping[str, frozenset[Action]] = field(default=ROLES)
    grants: Sequence[tuple[str, Grant]] = ()
    quotas: Sequence[Quota] = ()
    issuers: Sequence[Issuer] = ()


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

    @property
    def quotas(self) -> Sequence[Quota]:
        """
        How much callers and models may use.
        """
        return self._rules.quotas

    def replace(self, rules: PolicyRules) -> None:
        """
        Replace the rules.
        """
        self._rules, self._subjects = rules, SubjectMap(rules.grants)
        for changed in self._changed:
            changed()

    def on_change(self, changed: Callable[[], None]) -> None:
        """See ``IPolicy.on_change``."""
        self._changed.append(changed)

    def grants_of(self, identity: Identity) -> Sequence[Grant]:
        """See ``IPolicy.grants_of``."""
        subjects = (ANYONE,) if identity.is_anonymous else (identity.subject, *identity.groups, ANYONE)
        return [grant for subject in subjects for grant in self._subjects.find(subject)]
