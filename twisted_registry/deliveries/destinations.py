"""
Destinations: where events go, and which.
"""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from attrs import field, frozen

from twisted_registry.deliveries.addresses import AddressRule
from twisted_registry.domain.access import Scope
from twisted_registry.domain.events import Event, kind_of
from twisted_registry.domain.scope_map import ScopeMap


def type_of(kind: str) -> str:
    """
    Return the type of an event as messages have it, such as ``version.created``, from the name of its kind.
    """
    return kind.replace("_", ".", 1)


@frozen
class Selection:
    """
    The events that a destination gets.

    Attributes:
        types: the types of events, such as ``version.created``.
        scopes: the models whose events it gets.
    """

    types: frozenset[str]
    scopes: Sequence[Scope]
    _models: ScopeMap[bool] = field(init=False, eq=False)

    @_models.default
    def _map(self) -> ScopeMap[bool]:
        return ScopeMap((scope, True) for scope in self.scopes)

    def wants(self, event: Event) -> bool:
        """
        Return whether the destination gets an event.
        """
        return type_of(kind_of(event)) in self.types and bool(self._models.find(event.model_id))


@frozen
class Webhook:
    """
    A webhook.

    Attributes:
        name: its name in the log, in metrics and in the journal.
        selection: the events that it gets.
        timeout_seconds: how long an attempt may take.
        url: where it is sent.  It may hold a secret, and is not logged.
        secret_file: the path of the file with the secrets that sign it.
        ca_file: the path of a file with the authorities of the receiver; ``None`` for those of the system.
        rule: the addresses that it may be sent to.
    """

    name: str
    selection: Selection
    timeout_seconds: float
    url: str
    secret_file: Path
    ca_file: Path | None
    rule: AddressRule

    @property
    def is_encrypted(self) -> bool:
        """
        True if nobody on the way can read it.
        """
        return urlsplit(self.url).scheme == "https"


@frozen
class Command:
    """
    A command.

    Attributes:
        name: its name in the log, in metrics and in the journal.
        selection: the events that it runs on.
        timeout_seconds: how long it may run.
        run: the program, and its arguments.
    """

    name: str
    selection: Selection
    timeout_seconds: float
    run: Sequence[str]


Destination = Webhook | Command
