"""
The policy file, in TOML::

    [roles]
    releaser = ["read", "archive", "alias"]

    [[grants]]
    to = ["token:trainer", "unix:1000"]
    role = "publisher"
    models = ["team-a/*"]
    until = 2027-01-01T00:00:00Z
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any

from twisted_registry.access.file_kinds import BadFile, FileKind
from twisted_registry.access.policy import ANYONE, PolicyRules
from twisted_registry.domain.access import GRANTABLE, ROLES, Action, Grant, Scope
from twisted_registry.domain.errors import shown

POLICY_FILE = FileKind("policy", 16 * 2**20, is_trusted=True)
"""The kind of the file."""

_ROLE = re.compile(r"[a-z][a-z0-9-]{0,62}")
_KINDS = ("token", "certificate")
_SUBJECT = re.compile(rf"({'|'.join(_KINDS)}):[^\x00-\x1f\x7f]{{1,1024}}")
_ACTIONS = {action.value: action for action in Action if action in GRANTABLE}
_GRANT_KEYS = {"to", "role", "models", "until"}


def parse_policy(content: bytes) -> PolicyRules:
    """
    Read the content of a policy file.

    Raises:
        BadFile: something in it is not valid; nothing of it counts then.
    """
    try:
        document = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:  # also UnicodeDecodeError and TOMLDecodeError
        raise BadFile(f"the policy is not valid TOML: {error}") from None
    reader = _Reader()
    rules = reader.read(document)
    if reader.problems:
        raise BadFile(*reader.problems)
    return rules


class _Reader:
    """
    A reader that goes on after an error, to report all of them.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []

    def read(self, document: Mapping[str, Any]) -> PolicyRules:
        self._check_keys("the policy", document, {"roles", "grants"})
        roles = {**ROLES, **dict(self._roles(document.get("roles", {})))}
        grants = document.get("grants", [])
        if not (isinstance(grants, list) and all(isinstance(grant, dict) for grant in grants)):
            self.problems.append("'grants' must be tables; write [[grants]] before each")
            return PolicyRules(roles)
        found = [
            pair for number, given in enumerate(grants, 1) for pair in self._grants(f"grant {number}", given, roles)
        ]
        return PolicyRules(roles, found)

    def _check_keys(self, where: str, table: Mapping[str, Any], known: set[str]) -> None:
        for key in table.keys() - known:
            close = get_close_matches(key, known, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"expected {', '.join(sorted(known))}"
            self.problems.append(f"{where} has an unknown key {shown(key)}; {hint}")

    def _roles(self, given: Any) -> Iterator[tuple[str, frozenset[Action]]]:
        if not isinstance(given, dict):
            self.problems.append("'roles' must be a table; write [roles] before its names")
            return
        for name, actions in given.items():
            if name in ROLES:
                self.problems.append(f"the role {shown(name)} is built in; choose another name")
            elif not _ROLE.fullmatch(name):
                self.problems.append(f"{shown(name)} is not a name of a role; use small letters, digits and hyphens")
            elif not (isinstance(actions, list) and actions and all(isinstance(it, str) for it in actions)):
                self.problems.append(f"the role {shown(name)} needs a list of actions, such as ['read', 'publish']")
            else:
                yield name, frozenset(self._actions(name, actions))

    def _actions(self, role: str, names: Sequence[str]) -> Iterator[Action]:
        for name in names:
            if name in _ACTIONS:
                yield _ACTIONS[name]
            else:
                self.problems.append(
                    f"the role {shown(role)} has an unknown action {shown(name)}; expected one of "
                    f"{', '.join(sorted(_ACTIONS))}"
                )

    def _grants(
        self, where: str, given: Mapping[str, Any], roles: Mapping[str, frozenset[Action]]
    ) -> Iterator[tuple[str, Grant]]:
        self._check_keys(where, given, _GRANT_KEYS)
        subjects = [*self._texts(where, given, "to")]
        for subject in subjects:
            if subject != ANYONE and not _SUBJECT.fullmatch(subject):
                self.problems.append(
                    f"{where} is to {shown(subject)}; expected 'anyone', or one of {', '.join(_KINDS)} and a name: "
                    "'token:trainer'"
                )
            elif subject.endswith("*") and subject[-2].isalnum():
                self.problems.append(
                    f"{where} is to {shown(subject)}, which would also match longer names; end the prefix with a "
                    "separator, such as '/*'"
                )
        role = given.get("role")
        if not isinstance(role, str) or role not in roles:
            self.problems.append(f"{where} has the role {shown(role)}; expected one of {', '.join(sorted(roles))}")
            return
        until = self._until(where, given.get("until"))
        for scope in self._scopes(where, given):
            for subject in subjects:
                yield subject, Grant(roles[role], scope, until)

    def _texts(self, where: str, given: Mapping[str, Any], key: str) -> Sequence[str]:
        value = given.get(key)
        texts = [value] if isinstance(value, str) else value
        if isinstance(texts, list) and texts and all(isinstance(text, str) for text in texts):
            return texts
        self.problems.append(f"{where} needs {key!r}: a text, or a list of texts")
        return ()

    def _scopes(self, where: str, given: Mapping[str, Any]) -> Iterator[Scope]:
        for pattern in self._texts(where, given, "models"):
            try:
                yield Scope.parse(pattern)
            except ValueError as error:
                self.problems.append(f"{where}: {error}")

    def _until(self, where: str, value: Any) -> float | None:
        if value is None:
            return None
        if not isinstance(value, datetime) or value.tzinfo is None:
            self.problems.append(f"{where} has 'until' without a time zone; write it as 2027-01-01T00:00:00Z")
            return 0.0
        try:
            return value.astimezone(UTC).timestamp()
        except OverflowError:
            self.problems.append(f"{where} has 'until' outside the calendar; leave it out for a grant without an end")
            return 0.0
