"""
The command line of ``twistd model-registry``: a flag over an environment variable over a default.
"""

import os
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import ClassVar, NoReturn

from twisted.python import usage

from twisted_registry import __version__
from twisted_registry.daemon.settings import COMMAND, SETTINGS, Given, Setting, Settings, settings_from
from twisted_registry.domain.errors import CannotStart, shown

_SWITCHES = [setting for setting in SETTINGS if setting.kind.switch]
_PARAMETERS = [setting for setting in SETTINGS if not setting.kind.switch]

_HELP_INDENT = " " * 6
_MAX_HELP_WIDTH = 100
_EXITS = "print this, or the version, and exit"


class Options(usage.Options):
    """
    The flags, one for each of ``SETTINGS``.

    A switch has two: ``--grpc-reflection`` and ``--no-grpc-reflection``, which overrules the environment.

    Attributes:
        settings: what they and the environment come to, once parsed.
    """

    optParameters: ClassVar = [[setting.name, None, None, setting.help] for setting in _PARAMETERS]
    optFlags: ClassVar = [
        flag
        for setting in _SWITCHES
        for flag in ([setting.name, None, setting.help], [f"no-{setting.name}", None, f"do not {setting.help}"])
    ]
    settings: Settings

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        super().__init__()
        self._environ = environ

    def parse(self, arguments: Sequence[str]) -> Settings:
        """
        Parse a command line.

        Raises:
            usage.UsageError: something makes no sense.
        """
        super().parseOptions(arguments)
        return self.settings

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """
        Parse a command line for twistd, which would print pages of usage around an error's one line.
        """
        try:
            self.parse(sys.argv[1:] if options is None else options)
        except usage.UsageError as error:
            raise SystemExit(f"{COMMAND}: {error}") from None

    def parseArgs(self, *arguments: str) -> None:
        """
        Refuse what is no flag.
        """
        if arguments:
            raise usage.UsageError(f"{shown(arguments[0])} is not a flag, and nothing else is taken")

    def postOptions(self) -> None:
        """
        Bring the flags and the environment together.
        """
        given = {setting.name: found for setting in SETTINGS if (found := self._given(setting)) is not None}
        try:
            self.settings = settings_from(given)
        except CannotStart as error:
            raise usage.UsageError(error.reason) from None

    def _given(self, setting: Setting) -> Given | None:
        flag = self._switched(setting) if setting.kind.switch else self[setting.name]
        if flag is not None:
            return Given(setting.flag, flag, by_flag=True)
        variable = self._environ.get(setting.variable)
        return Given(setting.variable, variable, by_flag=False) if variable else None

    def _switched(self, setting: Setting) -> str | None:
        on, off = self[setting.name], self[f"no-{setting.name}"]
        if on and off:
            raise usage.UsageError(f"{setting.flag} and --no-{setting.name} contradict each other; give one of them")
        return "on" if on else "off" if off else None

    def opt_version(self) -> NoReturn:
        """
        Display the version and exit.
        """
        print(f"twisted-registry {__version__}")
        raise SystemExit(0)

    def getUsage(self, width: int | None = None) -> str:
        """
        Describe every setting, in the table's order.
        """
        width = min(width or shutil.get_terminal_size().columns, _MAX_HELP_WIDTH)
        rule = "A flag overrules its environment variable, that overrules the default; an empty variable is unset."
        settings = "\n".join(_described(setting, width) for setting in SETTINGS)
        return f"\n{textwrap.fill(rule, width)}\n\n{settings}\n  --help, --version\n{_HELP_INDENT}{_EXITS}\n"


def _described(setting: Setting, width: int) -> str:
    """
    Say in a few lines what a setting is, and how to give it.
    """
    other = f", --no-{setting.name}" if setting.kind.switch else "="
    text = f"{setting.help} [default: {setting.default_text}]"
    lines = textwrap.wrap(text, width, initial_indent=_HELP_INDENT, subsequent_indent=_HELP_INDENT)
    return "\n".join([f"  {setting.flag}{other}", f"{_HELP_INDENT}{setting.variable}", *lines])
