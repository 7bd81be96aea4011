"""
Log lines of a start: the address, the archive, and warnings for the operator.
"""

import os
import stat
from pathlib import Path

from twisted.logger import Logger

from twisted_registry.config.limits import connections_within
from twisted_registry.config.load import Settings
from twisted_registry.config.network import UnixSettings
from twisted_registry.daemon.access import is_loopback
from twisted_registry.daemon.descriptor_limit import usable_descriptors
from twisted_registry.rpc.unix_socket import check_folder

_log = Logger(namespace="twisted_registry")


def log_start(settings: Settings, archive: str, is_new: bool, address: str) -> None:
    """
    Log that the daemon serves.

    Args:
        settings: the settings.
        archive: the location of the archive.
        is_new: whether this start created it.
        address: ``HOST:PORT`` of the daemon.
    """
    _log_archive(settings, archive, is_new)
    _log_exposure(settings, address)
    _log_limits(settings)
    _log.info("listening on {address}", address=address)


def _log_archive(settings: Settings, archive: str, is_new: bool) -> None:
    if is_new:
        _log.warn(
            "new archive: {archive} contained no archive, and one was created; if it should contain models, check "
            "--archive-dir and whether its disk is mounted",
            archive=archive,
        )
    _log.info(
        "archive: {archive}; in memory at most {memory.max_items} versions and {memory.max_bytes} bytes",
        archive=archive,
        memory=settings.memory,
    )


def _log_exposure(settings: Settings, address: str) -> None:
    knows_callers = settings.access.is_enabled or settings.tls.client_ca is not None
    if settings.unix.path is not None:
        _log_socket(settings.unix, knows_callers)
    if settings.unix.is_alone:
        pass
    elif is_loopback(settings.network.interface):
        _log.info(
            "only this machine can connect: to serve others, pass --interface 0.0.0.0 or set "
            "COGMENT_MODEL_REGISTRY_INTERFACE, which needs TLS and access control, or --insecure"
        )
        if not knows_callers:
            _log.info("there is no access control: every user of this machine may do anything")
    elif not knows_callers:
        _log.warn(
            "there is no access control: anyone who can connect to {address} can read, create and delete models; only "
            "a trusted network should reach it",
            address=address,
        )
    elif not settings.tls.is_enabled:
        _log.warn(
            "connections to {address} are not encrypted: tokens are accepted only from this machine, and anyone who "
            "can read the network can read the models",
            address=address,
        )
    _log_root()


def _log_socket(unix: UnixSettings, knows_callers: bool) -> None:
    assert unix.path is not None, "there is a socket"
    _log.info(
        "the Unix socket {path} is open to those whom its mode {mode:04o} lets write",
        path=unix.path,
        mode=stat.S_IMODE(os.stat(unix.path).st_mode),
    )
    if not knows_callers:
        _log.info("there is no access control: everyone who may open the Unix socket may do anything")
    if problem := check_folder(Path(unix.path)):
        _log.warn("{problem}; put it into a directory of the daemon's own", problem=problem)


def _log_root() -> None:
    if os.geteuid() == 0:
        _log.warn(
            "running as root, which the daemon does not need, not even in a container: run it as a separate user "
            "(User= of systemd, --user of docker run, --uid of twistd) that owns the archive"
        )


def _log_limits(settings: Settings) -> None:
    most = connections_within(usable_descriptors())
    if settings.clients.connections_max > most:
        _log.warn(
            "--max-connections is {given}, more than the {most} that the limit on descriptors leaves after a reserve "
            "for files: clients may prevent archived versions from being read; raise that limit (ulimit -n)",
            given=settings.clients.connections_max,
            most=most,
        )
