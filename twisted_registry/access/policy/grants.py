"""
The tables ``[[grants]]`` of the policy: roles on models, for callers.
"""

from collections.abc import Iterator, Sequence

from twisted_registry.access.policy.reader import PolicyReader, Table
from twisted_registry.access.policy.roles import Roles, role_of
from twisted_registry.access.policy.subjects import Subjects
from twisted_registry.domain.access import Grant

_KEYS = ("to", "role", "models", "until")


def read_grants(reader: PolicyReader, document: Table, roles: Roles, subjects: Subjects) -> Sequence[tuple[str, Grant]]:
    """
    Return the grants of a policy, each with its subject.
    """
    tables = enumerate(reader.tables(document, "grants"), 1)
    return [pair for number, table in tables for pair in _grants(reader, f"grant {number}", table, roles, subjects)]


def _grants(
    reader: PolicyReader, where: str, table: Table, roles: Roles, subjects: Subjects
) -> Iterator[tuple[str, Grant]]:
    reader.check_keys(where, table, _KEYS)
    to = [*subjects.read(reader, where, table, "to")]
    actions = role_of(reader, where, table, roles)
    until = reader.time(where, table, "until")
    for scope in reader.scopes(where, table):
        if actions is not None:
            for subject in to:
                yield subject, Grant(actions, scope, until)
