"""
The subjects in a policy: callers of one kind, by their name or by the beginning of it.
"""

import re
from collections.abc import Iterator, Mapping

from attrs import field, frozen

from twisted_registry.access.policy_reader import PolicyReader, Table
from twisted_registry.access.subject_map import ANYONE
from twisted_registry.domain.errors import shown

KINDS: Mapping[str, str] = {
    "token": "token:trainer",
    "certificate": "certificate:trainer.example.com",
    "jwt": "jwt:ISSUER:SUBJECT",
    "unix": "unix:1000",
    "unix-group": "unix-group:ml",
}
"""The kinds of callers, each with an example of a subject."""

_SUBJECT = re.compile(r"([a-z][a-z0-9-]{0,62}):[^\x00-\x1f\x7f]{1,1024}")


@frozen
class Subjects:
    """
    The subjects that a policy may name.

    Attributes:
        kinds: the kinds, each with an example.
    """

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
        return ""
