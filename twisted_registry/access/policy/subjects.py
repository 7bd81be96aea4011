"""
The subjects in a policy: callers of one kind, by their name or by the beginning of it.
"""

import re
from collections.abc import Collection, Iterator, Mapping

from attrs import field, frozen

from twisted_registry.access.issuers.issuer import KIND as JWT
from twisted_registry.access.policy.reader import PolicyReader, Table
from twisted_registry.access.policy.subject_map import ANYONE
from twisted_registry.domain.errors import shown

KINDS: Mapping[str, str] = {
    "token": "token:trainer",
    "certificate": "certificate:trainer.example.com",
    "jwt": "jwt:ISSUER:SUBJECT",
    "unix": "unix:1000",
    "unix-group": "unix-group:ml",
}
"""The kinds of callers, each with an example of a subject."""

_SUBJECT = re.compile(r"([a-z][a-z0-9-]{0,62}):([^\x00-\x1f\x7f]{1,1100})")


def kinds_of_plugin(name: str) -> Mapping[str, str]:
    """
    Return the kinds of callers of a plugin's authenticator, each with an example.

    Args:
        name: the plugin's name.
    """
    return {name: f"{name}:trainer", f"{name}-group": f"{name}-group:ml"}


@frozen
class Subjects:
    """
    The subjects that a policy may name.

    Attributes:
        issuers: the names of the policy's issuers.
        kinds: the kinds, each with an example.
    """

    issuers: Collection[str] = ()
    kinds: Mapping[str, str] = field(default=KINDS)

    def read(self, reader: PolicyReader, where: str, table: Table, key: str) -> Iterator[str]:
        """
        Yield the subjects of a key that needs one, or a list of them.
        """
        for subject in reader.texts(where, table, key):
            problem = self._problem(subject)
            if problem:
                reader.refuse(f"{where} is to {shown(subject)}{problem}")
            else:
                yield subject

    def _problem(self, subject: str) -> str:
        if subject == ANYONE:
            return ""
        match = _SUBJECT.fullmatch(subject)
        if match is None or match[1] not in self.kinds:
            examples = ", ".join(repr(example) for example in self.kinds.values())
            return f"; expected {ANYONE!r}, or a kind and a name, such as {examples}"
        if subject.endswith("*") and subject[-2].isalnum():
            return ", which would also match longer names; end the prefix with a separator, such as '/*'"
        return self._problem_with_issuer(match[2]) if match[1] == JWT else ""

    def _problem_with_issuer(self, name: str) -> str:
        issuer, colon, subject = name.partition(":")
        if name == "*" or (issuer in self.issuers and subject):
            return ""
        if not colon or not subject:
            return f"; expected '{JWT}:ISSUER:SUBJECT'"
        return f", and there is no issuer {shown(issuer)}; expected one of {', '.join(sorted(self.issuers)) or 'none'}"
