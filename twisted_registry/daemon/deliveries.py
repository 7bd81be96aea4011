"""
The deliveries of the daemon, from its settings.
"""

import os
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from random import SystemRandom
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from twisted_registry.access.file_kinds import BadFile, FileKind
from twisted_registry.access.files import WatchedFiles
from twisted_registry.config.load import Settings
from twisted_registry.contracts.archive import IArchive
from twisted_registry.contracts.ownership import IIdentifiableArchive
from twisted_registry.contracts.registry import IRegistry
from twisted_registry.daemon.pools import Pools
from twisted_registry.deliveries.command import CommandRunner
from twisted_registry.deliveries.connection import NotSent, tls_options
from twisted_registry.deliveries.deliveries import Deliveries
from twisted_registry.deliveries.destinations import Command, Destination, Webhook
from twisted_registry.deliveries.file import BadDeliveries, parse_deliveries
from twisted_registry.deliveries.journal import Journal, JournalUnusable
from twisted_registry.deliveries.reconciliation import Reconciliation
from twisted_registry.deliveries.signing import parse_secrets
from twisted_registry.deliveries.webhook import WebhookSender
from twisted_registry.domain.errors import CannotStart, StorageFailure
from twisted_registry.execution import PooledExecutor
from twisted_registry.observability.delivery_metrics import DeliveryMetrics
from twisted_registry.rpc.event_json import event_to_json

_log = Logger()

DELIVERIES_FILE = FileKind("file of deliveries", 2**20, is_trusted=True)
"""The kind of the file.  Who can change it can run commands."""

SECRET_FILE = FileKind("webhook's secret", 4096, is_private=True)
"""The kind of the file of the secrets that sign a webhook."""


def read_destinations(path: Path, content: bytes) -> Sequence[Destination]:
    """
    Read the content of a file of deliveries, and check the files that it names.  This blocks.

    Raises:
        BadFile: it cannot be used.
    """
    try:
        found = parse_deliveries(content, path.parent)
    except BadDeliveries as error:
        raise BadFile(*(f"the file of deliveries {path}: {problem}" for problem in error.problems)) from None
    for each in found:
        if isinstance(each, Webhook):
            _read_secrets(each.secret_file)
            _check_authorities(each)
    return found


def _check_authorities(webhook: Webhook) -> None:
    try:
        if webhook.ca_file is not None:
            tls_options("localhost", webhook.ca_file)
    except NotSent as error:
        raise BadFile(f"webhook {webhook.name}: {error}") from None


def _read_secrets(path: Path) -> Sequence[bytes]:
    content = SECRET_FILE.read(path, checks_owner=os.geteuid() != 0)
    try:
        return parse_secrets(content)
    except ValueError as error:
        raise BadFile(f"the {SECRET_FILE.name} {path} {error}") from None


def check_file(path: Path) -> None:
    """
    Check that a file of deliveries can be used.

    Raises:
        BadFile: it cannot.
    """
    read_destinations(path, DELIVERIES_FILE.read(path))


class DaemonDeliveries:
    """
    The deliveries of a daemon.

    Attributes:
        file: the file of webhooks and commands.
    """

    def __init__(
        self, reactor: Any, settings: Settings, pools: Pools, metrics: DeliveryMetrics | None, path: Path
    ) -> None:
        """

        Args:
            metrics: what is counted; ``None`` if nobody wants to know.
            path: the file of webhooks and commands.
        """
        self._reactor = reactor
        self._metrics = metrics
        self._path = path
        self._journal = Journal(Path(settings.deliveries.journal or ""), event_to_json)
        self._defer: Callable[[Callable[[], Any]], Deferred[Any]] = PooledExecutor(reactor, pools.deliveries).defer
        self._deliveries = Deliveries(
            reactor,
            self._journal,
            self._defer,
            WebhookSender(reactor, self._secrets),
            CommandRunner(reactor),
            now_ns=time.time_ns,
            random=SystemRandom().random,
            count=(lambda name, result, amount: None) if metrics is None else metrics.count,
        )
        self._is_started = False
        self.file = WatchedFiles([(DELIVERIES_FILE, path)], self._use)

    def _use(self, content: bytes) -> None:
        destinations = read_destinations(self._path, content)
        if self._is_started:
            self._reactor.callFromThread(self._change, destinations)
        else:
            self._deliveries.destinations = destinations

    def _change(self, destinations: Sequence[Destination]) -> None:
        self._log(destinations)
        self._deliveries.use(destinations)

    async def _secrets(self, path: Path) -> Sequence[bytes]:
        try:
            found: Sequence[bytes] = await self._defer(lambda: _read_secrets(path))
        except BadFile as error:
            raise NotSent(str(error)) from None
        return found

    def open(self, archive: IArchive) -> None:
        """
        Open the journal, and record what has happened in the archive since its last entry.  This blocks.

        Raises:
            CannotStart: the journal or the archive cannot be used.
        """
        archive_id = (archive.identity().archive_id or "") if IIdentifiableArchive.providedBy(archive) else ""
        try:
            self._journal.open(archive_id)
            self._reconcile(archive, archive_id)
        except JournalUnusable as error:
            raise CannotStart(f"--deliveries-journal cannot be used: {error}") from None
        except StorageFailure as error:
            raise CannotStart(f"the archive cannot be compared with --deliveries-journal: {error}") from None

    def _reconcile(self, archive: IArchive, archive_id: str) -> None:
        reconciliation = Reconciliation(archive, self._journal, time.time_ns)
        if self._journal.is_new:
            reconciliation.adopt(archive_id)
            _log.info("the journal of deliveries is new: events are delivered from now on")
        elif count := reconciliation.run(self._deliveries.destinations):
            _log.info("{count} events, which the journal of deliveries lacked, were found in the archive", count=count)

    def start(self, registry: IRegistry) -> None:
        """
        Record the events of a registry, and deliver them.
        """
        self._is_started = True
        self._log(self._deliveries.destinations)
        self._deliveries.follow(registry)
        self._deliveries.start()
        if self._metrics is not None:
            self._metrics.follow(self._read)

    def _log(self, destinations: Sequence[Destination]) -> None:
        names = ", ".join(each.name for each in destinations) or "none"
        _log.info("events are delivered to {names}", names=names)
        if os.geteuid() == 0 and any(isinstance(each, Command) for each in destinations):
            _log.warn("commands run on events as root, because the daemon does; run it as another user")

    def _read(self) -> dict[str, tuple[int, float]]:
        now_ns = time.time_ns()
        return {
            name: (each.count, 0.0 if each.oldest_ns is None else max(0, now_ns - each.oldest_ns) / 1e9)
            for name, each in self._deliveries.pending.items()
        }

    def stop(self) -> Awaitable[None]:
        """
        Cancel what is under way, and record what has happened.

        Returns:
            Completes when the journal is closed.
        """
        return self._deliveries.stop()
