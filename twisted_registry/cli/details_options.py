"""
Options of the command that creates a version: its labels, metrics and aliases.
"""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import click
from attrs import field, frozen

from twisted_registry.cli.params import AliasNameType, PairType, SetMetricType

_OPTIONS = (
    click.option(
        "--label", "labels", type=PairType(), metavar="KEY=VALUE", multiple=True, help="A label; may be repeated."
    ),
    click.option(
        "--metric",
        "metrics",
        type=SetMetricType(),
        metavar="NAME=NUMBER",
        multiple=True,
        help="A metric; may be repeated.",
    ),
    click.option(
        "--alias",
        "aliases",
        type=AliasNameType(),
        metavar="ALIAS",
        multiple=True,
        help="An alias to point at the version; may be repeated. Needs --archive.",
    ),
    click.option("--reason", metavar="TEXT", default="", help="Why the aliases move, for their history."),
)


@frozen
class Details:
    """
    The labels, metrics and aliases that a version is created with.

    Attributes:
        reason: why the aliases move.
    """

    labels: Mapping[str, str] = field(factory=dict)
    metrics: Mapping[str, float] = field(factory=dict)
    aliases: tuple[str, ...] = ()
    reason: str = ""

    def arguments(self) -> dict[str, Any]:
        """
        Return the arguments of the client's method; those that are not given are left out.
        """
        pairs = {"labels": self.labels, "metrics": self.metrics, "aliases": self.aliases, "reason": self.reason}
        return {name: value for name, value in pairs.items() if value}

    def facts(self) -> list[object]:
        """
        Return what tells the creation from another one.
        """
        return [sorted(self.labels.items()), sorted(self.metrics.items()), sorted(self.aliases), self.reason]


NO_DETAILS = Details()


def details_options(run: Callable[..., None]) -> Callable[..., None]:
    """
    Add the options to a command with the option ``--archive``, and pass them to it as ``details``.
    """

    @wraps(run)
    def gathered(
        *args: Any,
        labels: tuple[tuple[str, str], ...],
        metrics: tuple[tuple[str, float], ...],
        aliases: tuple[str, ...],
        reason: str,
        **options: Any,
    ) -> None:
        if aliases and not options["archive"]:
            raise click.UsageError("--alias needs --archive: only an archived version has aliases")
        if reason and not aliases:
            raise click.UsageError("--reason is why an alias moves: it needs --alias")
        run(*args, details=Details(dict(labels), dict(metrics), tuple(dict.fromkeys(aliases)), reason), **options)

    for option in reversed(_OPTIONS):
        gathered = option(gathered)
    return gathered
