"""
The table ``[roles]`` of the policy: names of sets of actions.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from twisted_registry.access.policy.reader import PolicyReader, Table
from twisted_registry.domain.access import GRANTABLE, ROLES, Action
from twisted_registry.domain.errors import shown

Roles = Mapping[str, frozenset[Action]]
"""The actions of each role."""

_ROLE = re.compile(r"[a-z][a-z0-9-]{0,62}")
_ACTIONS = {action.value: action for action in Action if action in GRANTABLE}


def read_roles(reader: PolicyReader, document: Table) -> Roles:
    """
    Return the roles of a policy, with the built-in ones.
    """
    return {**ROLES, **dict(_own_roles(reader, document))}


def role_of(reader: PolicyReader, where: str, table: Table, roles: Roles) -> frozenset[Action] | None:
    """
    Return the actions of the role that a table names; ``None`` if there is none.
    """
    role = table.get("role")
    if isinstance(role, str) and role in roles:
        return roles[role]
    reader.refuse(f"{where} has the role {shown(role)}; expected one of {', '.join(sorted(roles))}")
    return None


def _own_roles(reader: PolicyReader, document: Table) -> Iterator[tuple[str, frozenset[Action]]]:
    given = document.get("roles", {})
    if not isinstance(given, dict):
        reader.refuse("'roles' must be a table; write [roles] before its names")
        return
    for name, actions in given.items():
        if name in ROLES:
            reader.refuse(f"the role {shown(name)} is built in; choose another name")
        elif not _ROLE.fullmatch(name):
            reader.refuse(f"{shown(name)} is not a name of a role; use small letters, digits and hyphens")
        elif not (isinstance(actions, list) and actions and all(isinstance(it, str) for it in actions)):
            reader.refuse(f"the role {shown(name)} needs a list of actions, such as ['read', 'publish']")
        else:
            yield name, frozenset(_actions(reader, name, actions))


def _actions(reader: PolicyReader, role: str, names: Sequence[str]) -> Iterator[Action]:
    for name in names:
        if name in _ACTIONS:
            yield _ACTIONS[name]
        else:
            reader.refuse(
                f"the role {shown(role)} has an unknown action {shown(name)}; expected one of "
                f"{', '.join(sorted(_ACTIONS))}"
            )
