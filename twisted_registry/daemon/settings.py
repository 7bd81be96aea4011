"""
The daemon's settings, wherever they are given.

One table, ``SETTINGS``, says what there is: flags, environment variables, defaults and the help follow from it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import frozen

from twisted_registry.contracts.transfers import ClientLimits, Limits
from twisted_registry.contracts.transient import TransientBudget
from twisted_registry.daemon.descriptor_limit import connections_within, usable_descriptors
from twisted_registry.daemon.kinds import DESCRIPTION, DIRECTORY, INTERFACE, SWITCH, Kind, one_of, seconds, whole
from twisted_registry.daemon.memory_limit import usable_memory
from twisted_registry.daemon.providers import escape
from twisted_registry.domain.errors import CannotStart, shown

COMMAND = "twistd model-registry"

VARIABLE_PREFIX = "COGMENT_MODEL_REGISTRY_"

DEFAULT_CHUNK_SIZE_BYTES = 4 * 2**20 - 2**10
"""A stock gRPC client refuses a message over 4 MiB, and the message is a little longer than its chunk."""

MAX_CHUNK_SIZE_BYTES = 64 * 2**20 - 5
"""A message of 64 MiB, without the five bytes around its chunk."""

LOG_LEVELS = ("debug", "info", "warn", "error", "critical")
LOG_FORMATS = ("text", "json")

_MAX_ITEMS = 10**9
_MAX_BYTES = 2**63 - 1
_MAX_COUNT = 10**6
_MAX_CONNECTIONS = 10_000
_MAX_CALLS = 20_000
_CALL_BYTES = 50_000
"""What a call takes that waits for something, such as a subscriber's."""


@frozen
class Settings:
    """
    What the daemon runs with.

    Attributes:
        port: the TCP port; 0 picks a free one.
        interface: an address, without brackets, or a host's name.
        archive: the description of the archive.
        archive_must_exist: whether not to start where there is no archive yet.
        transient: the description of the transient store.
        budget: what the transient store may hold.
        limits: what calls may hold, and for how long.
        clients: how many connections and calls there may be.
        chunk_size_bytes: the data in each message of a version that is sent.
        reflection: whether gRPC reflection is served.
        log_level: one of ``LOG_LEVELS``.
        log_format: one of ``LOG_FORMATS``.
        grace_seconds: how long the calls under way may take to end when the daemon stops.
    """

    port: int
    interface: str
    archive: str
    archive_must_exist: bool
    transient: str
    budget: TransientBudget
    limits: Limits
    clients: ClientLimits
    chunk_size_bytes: int
    reflection: bool
    log_level: str
    log_format: str
    grace_seconds: float


# --- The table -------------------------------------------------------------------------------------------------------


@frozen
class Setting:
    """
    One setting.

    Attributes:
        name: its name, which gives its flag and its variable.
        kind: what its values are.
        help: what it is for, without a full stop.
        default: what holds where nothing is given.
        default_text: the default as the help shows it.
    """

    name: str
    kind: Kind
    help: str
    default: Callable[[], Any]
    default_text: str

    @property
    def flag(self) -> str:
        """
        The flag, as it is typed.
        """
        return f"--{self.name}"

    @property
    def variable(self) -> str:
        """
        The environment variable.
        """
        return VARIABLE_PREFIX + self.name.upper().replace("-", "_")


def _share_of_memory(share: int) -> Callable[[], int]:
    return lambda: max(1, usable_memory() // share)


def _calls_by_memory() -> int:
    return max(1, min(_MAX_CALLS, usable_memory() // 8 // _CALL_BYTES))


def _setting(name: str, kind: Kind, help: str, default: Any, default_text: str | None = None) -> Setting:
    return Setting(name, kind, help, lambda: default, default_text or str(default))


_ARCHIVE = _setting(
    "archive",
    DESCRIPTION,
    "where archived versions are kept, as NAME:ARGUMENTS of an installed storage provider; a ':', '=' or backslash "
    "inside an argument takes a backslash before it",
    None,
    "filesystem:.cogment_model_registry",
)
_ARCHIVE_DIR = _setting(
    "archive-dir",
    DIRECTORY,
    "directory of the archive, made if missing; short for --archive filesystem:DIRECTORY, not to be given with it",
    ".cogment_model_registry",
)

SETTINGS: Sequence[Setting] = (
    _setting("port", whole(0, 65535), "TCP port to listen on; 0 picks a free one, and the log says which", 9000),
    _setting(
        "interface",
        INTERFACE,
        "address to listen on; 0.0.0.0 or :: for all, which lets everybody in who can reach them",
        "127.0.0.1",
    ),
    _ARCHIVE_DIR,
    _ARCHIVE,
    _setting(
        "archive-must-exist",
        SWITCH,
        "start only where there is an archive already, so that a disk that is not mounted is noticed",
        False,
        "off",
    ),
    _setting("transient", DESCRIPTION, "where versions that are not archived are kept, written likewise", "memory"),
    _setting("version-cache-max-items", whole(1, _MAX_ITEMS), "most versions held in memory", 100),
    Setting(
        "version-cache-max-bytes",
        whole(1, _MAX_BYTES, " of bytes"),
        "most bytes of versions held in memory",
        _share_of_memory(4),
        "a quarter of the memory the process may use",
    ),
    _setting(
        "version-max-bytes",
        whole(1, _MAX_BYTES, " of bytes"),
        "largest version taken; one that is not archived must fit into the memory for versions besides",
        0,
        "no limit",
    ),
    Setting(
        "uploads-max-bytes",
        whole(1, _MAX_BYTES, " of bytes"),
        "most bytes of versions being created that are in memory; more wait for their turn",
        _share_of_memory(4),
        "a quarter of the memory the process may use",
    ),
    _setting(
        "uploads-wait-seconds",
        seconds(0),
        "how long a version may wait to be received, before its creation is refused",
        30.0,
        "30",
    ),
    _setting(
        "upload-idle-seconds",
        seconds(0.1),
        "how long a call may bring nothing, or less than 64 KiB, of what it has yet to bring, before it is ended",
        60.0,
        "60",
    ),
    Setting(
        "downloads-max-bytes",
        whole(1, _MAX_BYTES, " of bytes"),
        "most bytes that may be on their way to readers; more wait for their turn",
        _share_of_memory(8),
        "an eighth of the memory the process may use",
    ),
    _setting(
        "download-idle-seconds",
        seconds(0.1),
        "how long a reader may need for a chunk while others wait for their turn, before its connection is closed",
        60.0,
        "60",
    ),
    _setting(
        "keepalive-seconds",
        seconds(1),
        "how long a connection may be silent before its client is asked whether it is there; one that does not answer "
        "is closed",
        60.0,
        "60",
    ),
    Setting(
        "max-connections",
        whole(1, _MAX_COUNT),
        "most connections at once; more are closed as they come, and near the limit those that carry no call",
        lambda: min(_MAX_CONNECTIONS, connections_within(usable_descriptors())),
        f"{_MAX_CONNECTIONS}, or what the limit on descriptors leaves beside a reserve for files",
    ),
    _setting(
        "max-calls-per-connection",
        whole(1, _MAX_COUNT),
        "most calls at once on one connection, each subscription being one; more wait at the client",
        500,
    ),
    _setting(
        "max-calls-per-client",
        whole(0, _MAX_COUNT),
        "most calls at once from one address; more are refused",
        0,
        "half of --max-calls",
    ),
    Setting(
        "max-calls",
        whole(1, _MAX_COUNT),
        "most calls at once; more are refused",
        _calls_by_memory,
        f"{_MAX_CALLS}, or what an eighth of the memory the process may use allows",
    ),
    _setting(
        "sent-model-version-data-chunk-size",
        whole(1, MAX_CHUNK_SIZE_BYTES, " of bytes"),
        "bytes of data in each message of a version sent; over 4 MiB, clients must raise their own limit",
        DEFAULT_CHUNK_SIZE_BYTES,
        "5 MiB, kept just under the 4 MiB that stock clients take",
    ),
    _setting("grpc-reflection", SWITCH, "let clients such as grpcurl ask for the API's description", False, "off"),
    _setting("log-level", one_of(LOG_LEVELS), f"least level logged: {', '.join(LOG_LEVELS)}", "info"),
    _setting("log-format", one_of(LOG_FORMATS), "text, or json: one object a line", "text"),
    _setting(
        "grace-seconds",
        seconds(0),
        "how long calls under way may take to end when the daemon stops; 0 cuts them off",
        10.0,
        "10",
    ),
)


# --- From what was given to Settings ---------------------------------------------------------------------------------


@frozen
class Given:
    """
    A value that somebody gave.

    Attributes:
        source: the flag or the variable it came by.
        by_flag: whether it was the flag.
    """

    source: str
    text: str
    by_flag: bool


def _parsed(setting: Setting, given: Given | None) -> Any:
    if given is None:
        return setting.default()
    try:
        return setting.kind.parse(given.text)
    except ValueError:
        raise CannotStart(f"{given.source} is {shown(given.text)}; expected {setting.kind.expected}") from None


def _archive(given: Mapping[str, Given]) -> str:
    """
    Give the archive's description, from the one of two settings that was given.
    """
    directory, description = given.get(_ARCHIVE_DIR.name), given.get(_ARCHIVE.name)
    if directory and description and directory.by_flag == description.by_flag:
        raise CannotStart(
            f"{directory.source} and {description.source} both name the archive; give one of them"
            + ("" if directory.by_flag else ", and leave the other unset or empty")
        )
    if description and not (directory and directory.by_flag):
        return str(_parsed(_ARCHIVE, description))
    return f"filesystem:{escape(_parsed(_ARCHIVE_DIR, directory))}"


def settings_from(given: Mapping[str, Given]) -> Settings:
    """
    Make the settings.

    Args:
        given: what was given, by a setting's name.

    Raises:
        CannotStart: something given makes no sense.
    """
    archive = _archive(given)
    value = {
        setting.name: _parsed(setting, given.get(setting.name))
        for setting in SETTINGS
        if setting not in (_ARCHIVE, _ARCHIVE_DIR)
    }
    return Settings(
        port=value["port"],
        interface=value["interface"],
        archive=archive,
        archive_must_exist=value["archive-must-exist"],
        transient=value["transient"],
        budget=TransientBudget(value["version-cache-max-items"], value["version-cache-max-bytes"]),
        limits=Limits(
            value["version-max-bytes"],
            value["uploads-max-bytes"],
            value["uploads-wait-seconds"],
            value["upload-idle-seconds"],
            value["downloads-max-bytes"],
            value["download-idle-seconds"],
            value["keepalive-seconds"],
        ),
        clients=ClientLimits(
            connections_max=value["max-connections"],
            calls_per_connection_max=value["max-calls-per-connection"],
            calls_per_client_max=value["max-calls-per-client"] or max(1, value["max-calls"] // 2),
            calls_max=value["max-calls"],
        ),
        chunk_size_bytes=value["sent-model-version-data-chunk-size"],
        reflection=value["grpc-reflection"],
        log_level=value["log-level"],
        log_format=value["log-format"],
        grace_seconds=value["grace-seconds"],
    )
