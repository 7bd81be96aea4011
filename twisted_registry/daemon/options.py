"""
The command line of ``twistd model-registry``.
"""

import os
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import ClassVar, NoReturn

from twisted.python import usage

from twisted_registry import __version__
from twisted_registry.config.load import CONFIG_VARIABLE, SETTINGS, InvalidConfiguration, Loaded, load
from twisted_registry.config.reference import effective_settings
from twisted_registry.config.setting import Machine, Setting
from twisted_registry.daemon.access import make_access_control
from twisted_registry.daemon.audit import check_audit_log
from twisted_registry.daemon.delivery_settings import check_deliveries
from twisted_registry.daemon.descriptor_limit import usable_descriptors
from twisted_registry.daemon.memory_limit import usable_memory
from twisted_registry.daemon.providers import create_stores
from twisted_registry.daemon.startup import COMMAND
from twisted_registry.domain.errors import CannotStart, shown

_SWITCHES = [setting for setting in SETTINGS if setting.type.is_switch]
_PARAMETERS = [setting for setting in SETTINGS if not setting.type.is_switch]

_HELP_INDENT = " " * 6
_MAX_HELP_WIDTH = 100

_CONFIG_HELP = "configuration file, in TOML"
_CHECK_HELP = "check the configuration, print the effective settings with the origin of each, and exit"
_EXITS = "print this help, or the version, and exit"
_PRECEDENCE = (
    "A flag overrides its environment variable, the variable overrides the configuration file, and the file overrides "
    "the default. An empty variable counts as unset."
)


class Options(usage.Options):
    """
    The flags, one for each of ``SETTINGS``.

    A switch has two: ``--grpc-reflection``, and ``--no-grpc-reflection``, which overrides the environment.

    Attributes:
        loaded: the settings, once a command line is parsed.
    """

    optParameters: ClassVar = [
        ["config", None, None, _CONFIG_HELP],
        *([setting.name, None, None, setting.help] for setting in _PARAMETERS),
    ]
    optFlags: ClassVar = [
        ["check-config", None, _CHECK_HELP],
        *([setting.name, None, setting.help] for setting in _SWITCHES),
        *([f"no-{setting.name}", None, f"do not {setting.help}"] for setting in _SWITCHES),
    ]
    loaded: Loaded

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        super().__init__()
        self._environ = environ

    def parse(self, arguments: Sequence[str]) -> Loaded:
        """
        Parse a command line.

        Raises:
            usage.UsageError: a flag is not valid.
            InvalidConfiguration: a value is not valid.
        """
        super().parseOptions(arguments)
        machine = Machine(usable_memory(), usable_descriptors())
        self.loaded = load(self._flags(), self._environ, machine, self["config"])
        return self.loaded

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """
        Parse a command line for twistd.

        Raises:
            SystemExit: an argument is not valid, or the settings are to be checked only.  twistd would print pages of
                usage around the one line of an error.
        """
        try:
            self.parse(sys.argv[1:] if options is None else options)
        except usage.UsageError as error:
            raise SystemExit(f"{COMMAND}: {error}") from None
        except InvalidConfiguration as error:
            errors = error.errors if self["check-config"] else error.errors[:1]
            raise SystemExit("\n".join(f"{COMMAND}: {each}" for each in errors)) from None
        if self["check-config"]:
            self._check()

    def parseArgs(self, *arguments: str) -> None:
        """
        Refuse arguments that are not flags.
        """
        if arguments:
            raise usage.UsageError(f"{shown(arguments[0])} is not a flag, and only flags are accepted")

    def opt_help(self) -> NoReturn:
        """
        Print the help, and exit.
        """
        _print_and_exit(str(self))

    def opt_version(self) -> NoReturn:
        """
        Print the version, and exit.
        """
        _print_and_exit(f"twisted-registry {__version__}")

    def getUsage(self, width: int | None = None) -> str:
        """
        Return the help: every setting, by section.
        """
        width = min(width or shutil.get_terminal_size().columns, _MAX_HELP_WIDTH)
        settings = "\n".join(_described(setting, width) for setting in SETTINGS)
        config = _lines(f"--config=\n{_HELP_INDENT}{CONFIG_VARIABLE}", _CONFIG_HELP, width)
        return (
            f"\n{textwrap.fill(_PRECEDENCE, width)}\n\n{config}\n{_lines('--check-config', _CHECK_HELP, width)}\n"
            f"{settings}\n{_lines('--help, --version', _EXITS, width)}\n"
        )

    def _flags(self) -> dict[str, str]:
        flags = {setting.name: self[setting.name] for setting in _PARAMETERS if self[setting.name] is not None}
        for setting in _SWITCHES:
            on, off = self[setting.name], self[f"no-{setting.name}"]
            if on and off:
                raise usage.UsageError(
                    f"{setting.flag} and --no-{setting.name} contradict each other; pass only one of them"
                )
            if on or off:
                flags[setting.name] = "on" if on else "off"
        return flags

    def _check(self) -> NoReturn:
        try:
            create_stores(self.loaded.settings)
            make_access_control(self.loaded.settings)
            check_audit_log(self.loaded.settings.access)
            check_deliveries(self.loaded.settings.deliveries)
        except CannotStart as error:
            raise SystemExit(f"{COMMAND}: {error}") from None
        for warning in self.loaded.warnings:
            print(f"{COMMAND}: warning: {warning}", file=sys.stderr)
        _print_and_exit(effective_settings(self.loaded))


def _print_and_exit(text: str) -> NoReturn:
    """
    Print a text, and exit; with status 1 if it cannot be printed, and without a message if nobody reads the pipe.
    """
    try:
        print(text, flush=True)
    except OSError as error:
        # Otherwise Python would write the buffered text again at exit, and fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1 if isinstance(error, BrokenPipeError) else f"{COMMAND}: stdout: {error.strerror}") from None
    raise SystemExit(0)


def _described(setting: Setting, width: int) -> str:
    """
    Return the help of a setting.
    """
    other = f", --no-{setting.name}" if setting.type.is_switch else "="
    return _lines(
        f"{setting.flag}{other}\n{_HELP_INDENT}{setting.variable}",
        f"{setting.help} [default: {setting.default_text}]",
        width,
    )


def _lines(head: str, text: str, width: int) -> str:
    wrapped = textwrap.fill(text, width, initial_indent=_HELP_INDENT, subsequent_indent=_HELP_INDENT)
    return f"  {head}\n{wrapped}"
