"""
A click group whose commands are imported when they are run.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

from twisted_registry.cli.early_exit import exit_early_on_signal

_ONLY_IN_FULL_DISTRIBUTION = ("twisted_registry.access", "twisted_registry.storage")
"""Packages that some commands import, and that twisted-registry-client lacks."""


class LazyGroup(click.Group):
    """
    A group that lists, and completes the names of, commands that it has not imported.
    """

    def __init__(self, *arguments: Any, lazy_commands: Mapping[str, tuple[str, str]], **options: Any) -> None:
        """
        Initialize a group.

        Args:
            lazy_commands: by name, ``module:attribute`` of each command and its short help.
        """
        super().__init__(*arguments, **options)
        self._lazy_commands = lazy_commands

    def list_commands(self, ctx: click.Context) -> list[str]:
        """
        Return the names of all commands, sorted.
        """
        return sorted(self._lazy_commands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """
        Import a command.
        """
        if cmd_name not in self.commands and cmd_name in self._lazy_commands:
            module, _, attribute = self._lazy_commands[cmd_name][0].partition(":")
            with exit_early_on_signal():
                self.add_command(self._import(module, attribute), cmd_name)
        return self.commands.get(cmd_name)

    @staticmethod
    def _import(module: str, attribute: str) -> click.Command:
        try:
            command: click.Command = getattr(import_module(module), attribute)
        except ModuleNotFoundError as error:
            if error.name not in _ONLY_IN_FULL_DISTRIBUTION:
                raise
            # twisted-registry-client does not have it.
            raise click.UsageError(
                "this command needs the distribution twisted-registry, instead of twisted-registry-client"
            ) from None
        return command

    def summary(self, name: str) -> str:
        """
        Return the short help of a command.
        """
        return self._lazy_commands[name][1]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """
        Write the list of commands into the help.
        """
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.summary(name)) for name in self.list_commands(ctx)])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """
        Complete the name of a command, or an option of the group.
        """
        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [*(CompletionItem(name, help=self.summary(name)) for name in names), *options]
