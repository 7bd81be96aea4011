"""
Settings from flags, environment variables, a configuration file and defaults, in this order of precedence.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from enum import IntEnum
from typing import Any

from attrs import frozen

from twisted_registry.config.access import AccessSettings, TlsSettings
from twisted_registry.config.deliveries import DeliverySettings
from twisted_registry.config.limits import ClientLimits, Limits
from twisted_registry.config.logging import LoggingSettings
from twisted_registry.config.memory import MemorySettings
from twisted_registry.config.network import NetworkSettings, UnixSettings
from twisted_registry.config.setting import VARIABLE_PREFIX, Machine, Setting, settings_of
from twisted_registry.config.storage import StorageSettings
from twisted_registry.config.tracing import TracingSettings
from twisted_registry.config.web import MetricsSettings, WebSettings
from twisted_registry.domain.errors import shown

CONFIG_VARIABLE = f"{VARIABLE_PREFIX}CONFIG"
"""The environment variable with the name of the configuration file."""

CLIENT_VARIABLES = frozenset({f"{VARIABLE_PREFIX}ENDPOINT"})
"""Variables of clients, which are not settings of the daemon."""

_SERVICE_LINK = re.compile(rf"{VARIABLE_PREFIX}(SERVICE_(HOST|PORT.*)|PORT_[0-9]+_(TCP|UDP).*|NAME|ENV_.*)")
"""Variables that Kubernetes and Docker set for a service or a container of this name."""

DEFAULT = "default"
"""The origin of a setting that was not given."""


@frozen
class Settings:
    """
    All settings, by section.
    """

    network: NetworkSettings
    unix: UnixSettings
    tls: TlsSettings
    access: AccessSettings
    storage: StorageSettings
    memory: MemorySettings
    limits: Limits
    clients: ClientLimits
    logging: LoggingSettings
    web: WebSettings
    metrics: MetricsSettings
    tracing: TracingSettings
    deliveries: DeliverySettings


SECTIONS: Mapping[str, type] = {
    "network": NetworkSettings,
    "unix": UnixSettings,
    "tls": TlsSettings,
    "access": AccessSettings,
    "storage": StorageSettings,
    "memory": MemorySettings,
    "limits": Limits,
    "clients": ClientLimits,
    "logging": LoggingSettings,
    "web": WebSettings,
    "metrics": MetricsSettings,
    "tracing": TracingSettings,
    "deliveries": DeliverySettings,
}
"""The class of each section; in the configuration file a section is a table of this name."""

SETTINGS: Sequence[Setting] = [setting for section in SECTIONS.values() for _, setting in settings_of(section)]


class Level(IntEnum):
    """
    The precedence of a value, by its source: a higher level overrides a lower one.
    """

    FILE = 1
    VARIABLE = 2
    FLAG = 3


@frozen
class Given:
    """
    A value that was given for a setting.

    Attributes:
        value: text, or a value in TOML if the level is ``FILE``.
        source: where it was given, for people: a flag, a variable, or a file and a key.
        level: its precedence.
    """

    value: object
    source: str
    level: Level

    def parse(self, setting: Setting) -> Any:
        """
        Return the setting's value.

        Raises:
            ValueError: the value is not valid; the text says what is expected.
        """
        in_file, type = self.level == Level.FILE, setting.type
        try:
            return type.parse_toml(self.value) if in_file else type.parse(str(self.value))
        except ValueError:
            expected = (in_file and type.toml_expected) or type.expected
            raise ValueError(f"{self.source} is {self._shown(setting)}; expected {expected}") from None

    def _shown(self, setting: Setting) -> str:
        if self.level != Level.FILE:
            return shown(str(self.value))
        if isinstance(self.value, str):
            return shown(self.value) if str in setting.type.toml_types else f"the string {shown(self.value)}"
        return str(self.value).lower() if isinstance(self.value, bool) else shown(str(self.value)).strip("'")


@frozen
class Loaded:
    """
    Loaded settings.

    Attributes:
        settings: the settings.
        origins: by name, where each setting was given, or ``DEFAULT``; without settings that another one excludes.
        warnings: problems that do not prevent a start.
    """

    settings: Settings
    origins: Mapping[str, str]
    warnings: Sequence[str] = ()


class InvalidConfiguration(Exception):
    """
    The configuration is not valid.

    Attributes:
        errors: the errors, a line for each.
    """

    def __init__(self, errors: Sequence[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


def load(
    flags: Mapping[str, str], environ: Mapping[str, str], machine: Machine, config_file: str | None = None
) -> Loaded:
    """
    Load the settings.

    Args:
        flags: the values of flags, by the setting's name.
        environ: the environment variables; one that is empty counts as unset.
        machine: the machine, for defaults.
        config_file: the configuration file; ``None`` for the one that the environment names, if any.

    Raises:
        InvalidConfiguration: a value is not valid, or the file cannot be read.
    """
    errors: list[str] = []
    path = config_file if config_file is not None else environ.get(CONFIG_VARIABLE)
    given = {} if not path and config_file is None else _read_file(path or "", errors)
    for setting in SETTINGS:
        if environ.get(setting.variable):
            given[setting.name] = Given(environ[setting.variable], setting.variable, Level.VARIABLE)
        if setting.name in flags:
            given[setting.name] = Given(flags[setting.name], setting.flag, Level.FLAG)
    excluded = set(_drop_excluded(given, errors))
    sections = {name: _make_section(section, given, machine, errors) for name, section in SECTIONS.items()}
    if errors:
        raise InvalidConfiguration(errors)
    origins = {
        setting.name: given[setting.name].source if setting.name in given else DEFAULT
        for setting in SETTINGS
        if setting.name not in excluded
    }
    return Loaded(Settings(**sections), origins, unknown_variables(environ))


def _make_section(section: type, given: Mapping[str, Given], machine: Machine, errors: list[str]) -> Any:
    values = {}
    for field, setting in settings_of(section):
        values[field] = setting.default(machine)
        if setting.name in given:
            try:
                values[field] = given[setting.name].parse(setting)
            except ValueError as error:
                errors.append(str(error))
    return section(**values)


def _drop_excluded(given: dict[str, Given], errors: list[str]) -> Iterator[str]:
    """
    Remove given values that another one excludes, and return the names of settings without effect.
    """
    for setting in SETTINGS:
        if not setting.excludes:
            continue
        mine, other = given.get(setting.name), given.get(setting.excludes)
        if mine and other and mine.level == other.level:
            unset = ", and leave the other unset or empty" if mine.level == Level.VARIABLE else ""
            errors.append(f"{other.source} and {mine.source} cannot be combined; set only one of them{unset}")
        loser = setting.excludes if mine and not (other and other.level > mine.level) else setting.name
        given.pop(loser, None)
        yield loser


# --- The configuration file ------------------------------------------------------------------------------------------


def _read_file(path: str, errors: list[str]) -> dict[str, Given]:
    try:
        with open(path, "rb") as file:
            tables = tomllib.load(file)
    except OSError as error:
        errors.append(f"the configuration file {shown(path)} cannot be read: {error.strerror}")
        return {}
    except ValueError as error:
        errors.append(f"the configuration file {shown(path)} is not valid TOML: {error}")
        return {}
    given = {}
    known = {f"{name}.{each.name}": each for name, section in SECTIONS.items() for _, each in settings_of(section)}
    for key, value in _keys(tables):
        if key in known:
            given[known[key].name] = Given(value, f"{path}: {key}", Level.FILE)
        else:
            errors.append(f"{path}: {shown(key)} is not a setting{_suggestion(key, known)}")
    return given


def _keys(tables: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    for name, table in tables.items():
        if isinstance(table, dict) and (table or name in SECTIONS):
            yield from ((f"{name}.{key}", value) for key, value in table.items())
        else:
            yield name, table


def _suggestion(key: str, known: Iterable[str]) -> str:
    """
    Return advice for an unknown key: the nearest known one, or the sections.
    """
    if key in SECTIONS:
        return f"; it is a section: write [{key}]"
    # A key in the wrong section is nearest to the same key in the right one.
    section, _, last = key.rpartition(".")
    last = last.replace("_", "-")
    candidates = {each.rpartition(".")[2]: each for each in sorted(known)}
    if last in candidates:
        nearest = [candidates[last]]
    elif section:
        nearest = get_close_matches(key, candidates.values(), n=1, cutoff=0.4)
    else:
        nearest = [candidates[each] for each in get_close_matches(last, candidates, n=1)]
    return f"; did you mean {nearest[0]}?" if nearest else f"; the sections are {', '.join(SECTIONS)}"


# --- Environment variables -------------------------------------------------------------------------------------------


def unknown_variables(environ: Mapping[str, str]) -> Sequence[str]:
    """
    Return a line for each variable with this project's prefix that is not a setting, with the nearest one that is.
    """
    known = {CONFIG_VARIABLE, *(setting.variable for setting in SETTINGS)}
    unknown = [
        name
        for name in sorted(environ)
        if name.startswith(VARIABLE_PREFIX)
        and name not in known | CLIENT_VARIABLES
        and not _SERVICE_LINK.fullmatch(name)
    ]
    return [f"the variable {shown(name)} is not a setting and has no effect{_nearest(name, known)}" for name in unknown]


def _nearest(name: str, known: Iterable[str]) -> str:
    suffixes = {each.removeprefix(VARIABLE_PREFIX): each for each in sorted(known)}
    nearest = get_close_matches(name.removeprefix(VARIABLE_PREFIX), suffixes, n=1, cutoff=0.0)
    return f"; did you mean {suffixes[nearest[0]]}?" if nearest else ""
