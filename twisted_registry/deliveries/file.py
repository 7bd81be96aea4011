"""
The file of deliveries, in TOML::

    [[webhooks]]
    name = "ci"
    url = "https://ci.example.com/hooks/registry"
    secret_file = "ci.secret"
    events = ["version.archived", "alias.moved"]
    models = ["team-a/*"]

    [[commands]]
    name = "mirror"
    run = ["/usr/local/bin/mirror-model"]
    events = "version.created"
    timeout_seconds = 600
"""

import re
import tomllib
from collections.abc import Iterator, Sequence
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

from twisted_registry.config.tables import Table, TableReader
from twisted_registry.deliveries.addresses import AddressRule, Network
from twisted_registry.deliveries.destinations import Command, Destination, Selection, Webhook, type_of
from twisted_registry.domain.access import EVERYTHING
from twisted_registry.domain.error_base import RegistryError, shown
from twisted_registry.domain.events import KINDS

_TYPES = frozenset(map(type_of, KINDS))
_DEFAULT_TYPES = _TYPES - {"version.evicted"}
"""Evictions can be as many as new versions, and concern few."""

_COMMON = ("name", "events", "models", "timeout_seconds")
_WEBHOOK_KEYS = (*_COMMON, "url", "secret_file", "ca_file", "private_networks")
_COMMAND_KEYS = (*_COMMON, "run")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_MOST = 50
_WEBHOOK_SECONDS = 15.0
_COMMAND_SECONDS = 60.0
_SECONDS_MAX = 3600.0


class BadDeliveries(RegistryError):
    """
    The file of deliveries cannot be used.

    Attributes:
        problems: what is wrong, and what to do, a line each.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def parse_deliveries(content: bytes, directory: Path) -> Sequence[Destination]:
    """
    Read the content of a file of deliveries.

    Args:
        directory: where the paths in it begin.

    Raises:
        BadDeliveries: something in it is not valid; nothing of it counts then.
    """
    try:
        document = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:  # also UnicodeDecodeError and TOMLDecodeError
        raise BadDeliveries(f"it is not valid TOML: {error}") from None
    reader = _Reader(directory)
    reader.check_keys("the file", document, ("webhooks", "commands"))
    found: list[Destination] = [
        *(reader.webhook(f"webhook {number}", table) for number, table in reader.numbered(document, "webhooks")),
        *(reader.command(f"command {number}", table) for number, table in reader.numbered(document, "commands")),
    ]
    reader.check_names([each.name for each in found])
    if reader.problems:
        raise BadDeliveries(*reader.problems)
    return found


class _Reader(TableReader):
    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._directory = directory

    def numbered(self, document: Table, key: str) -> Iterator[tuple[int, Table]]:
        return enumerate(self.tables(document, key), 1)

    def check_names(self, names: Sequence[str]) -> None:
        if len(names) > _MOST:
            self.refuse(f"there are {len(names)} webhooks and commands; at most {_MOST} are allowed")
        for name in sorted({each for each in names if each and names.count(each) > 1}):
            self.refuse(f"the name {shown(name)} is used twice; choose another one")

    def webhook(self, where: str, table: Table) -> Webhook:
        self.check_keys(where, table, _WEBHOOK_KEYS)
        ca_file = self._path(where, table, "ca_file") if "ca_file" in table else None
        return Webhook(
            name=self._name(where, table),
            selection=self._selection(where, table),
            timeout_seconds=self._seconds(where, table, _WEBHOOK_SECONDS),
            url=self._url(where, table),
            secret_file=self._path(where, table, "secret_file"),
            ca_file=ca_file,
            rule=AddressRule(tuple(self._networks(where, table))),
        )

    def command(self, where: str, table: Table) -> Command:
        self.check_keys(where, table, _COMMAND_KEYS)
        run = self.texts(where, table, "run")
        if any("\0" in text for text in run) or not (run and run[0].startswith("/")):
            self.refuse(f"{where} needs 'run': the absolute path of a program, and its arguments")
        return Command(
            name=self._name(where, table),
            selection=self._selection(where, table),
            timeout_seconds=self._seconds(where, table, _COMMAND_SECONDS),
            run=tuple(run),
        )

    def _name(self, where: str, table: Table) -> str:
        name = table.get("name")
        if isinstance(name, str) and _NAME.fullmatch(name):
            return name
        self.refuse(f"{where} needs 'name': up to 63 letters, digits, '-' and '_'")
        return ""

    def _selection(self, where: str, table: Table) -> Selection:
        types = frozenset(self.texts(where, table, "events")) if "events" in table else _DEFAULT_TYPES
        for unknown in sorted(types - _TYPES):
            self.refuse(f"{where}: there are no events {shown(unknown)}; there are {', '.join(sorted(_TYPES))}")
        return Selection(types, tuple(self.scopes(where, table)) if "models" in table else (EVERYTHING,))

    def _seconds(self, where: str, table: Table, default: float) -> float:
        seconds = table.get("timeout_seconds", default)
        if isinstance(seconds, int | float) and not isinstance(seconds, bool) and 1 <= seconds <= _SECONDS_MAX:
            return float(seconds)
        self.refuse(f"{where} has 'timeout_seconds' other than a number from 1 to {_SECONDS_MAX:g}")
        return default

    def _path(self, where: str, table: Table, key: str) -> Path:
        path = table.get(key)
        if isinstance(path, str) and path and "\0" not in path:
            return self._directory / path
        self.refuse(f"{where} needs {key!r}: the path of a file")
        return self._directory

    def _url(self, where: str, table: Table) -> str:
        url = table.get("url")
        problem = _problem_of(url) if isinstance(url, str) else "it is missing"
        if problem:
            self.refuse(f"{where} needs 'url', such as 'https://ci.example.com/hook': {problem}")
        return str(url)

    def _networks(self, where: str, table: Table) -> Iterator[Network]:
        if "private_networks" not in table:
            return
        for text in self.texts(where, table, "private_networks"):
            try:
                yield ip_network(text)
            except ValueError as error:
                self.refuse(f"{where} has an invalid network: {error}; write it as 10.1.0.0/16")


def _problem_of(url: str) -> str:
    """
    Return why a URL cannot be that of a webhook; empty if it can.  The text does not repeat the URL: it may be secret.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
        (parts.hostname or "").encode("idna")  # as it is resolved; a part of a name has 63 characters at most
    except ValueError:
        return "it is not a URL"
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return "it needs a scheme, https or http, and a host"
    if parts.username is not None or parts.password is not None:
        return "it names a user; leave that out"
    if not url.isascii() or not url.isprintable() or " " in url or parts.fragment:
        return "it has a fragment, a space, or characters outside ASCII; encode them"
    return ""
