"""
Retention policies on the command line: the options that make one, its text, and its JSON.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import click

from twisted_registry.cli.text import harmless, harmless_id
from twisted_registry.domain.references import Reference
from twisted_registry.domain.retention import MAX_COUNT, KeepBest, RetentionPolicy

_AGE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(s|m|h|d)")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class BestType(click.ParamType):  # type: ignore[type-arg]  # at run time older versions of click take none
    """
    A metric and a count, ``NAME=N``.
    """

    name = "best"

    def convert(
        self, value: "str | tuple[str, int]", param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        """
        Parse a metric and a count.
        """
        if not isinstance(value, str):
            return value
        metric, _, count = value.rpartition("=")
        if not metric or not count.isdecimal() or not 0 < int(count) <= MAX_COUNT:
            self.fail(f"{value!r} is not NAME=N, such as return=3", param, ctx)
        return metric, int(count)


class AgeType(click.ParamType):  # type: ignore[type-arg]  # at run time older versions of click take none
    """
    A time span, such as ``90s``, ``15m``, ``12h`` or ``7d``.
    """

    name = "age"

    def convert(self, value: "str | float", param: click.Parameter | None, ctx: click.Context | None) -> float:
        """
        Parse a time span.

        Returns:
            the seconds.
        """
        if not isinstance(value, str):
            return float(value)
        match = _AGE.fullmatch(value)
        if match is None or not float(match[1]):
            self.fail(f"{value!r} is not a time, such as 90s, 15m, 12h or 7d", param, ctx)
        return float(match[1]) * _UNIT_SECONDS[match[2]]


_COUNT = click.IntRange(1, MAX_COUNT)
_OPTIONS = (
    click.option("--keep-last", type=_COUNT, metavar="N", help="Keep the newest N."),
    click.option(
        "--keep-best",
        type=BestType(),
        metavar="METRIC=N",
        multiple=True,
        help="Keep the N with the highest values of a metric; may be repeated.",
    ),
    click.option(
        "--keep-lowest",
        type=BestType(),
        metavar="METRIC=N",
        multiple=True,
        help="Keep the N with the lowest values of a metric; may be repeated.",
    ),
    click.option("--keep-every", type=_COUNT, metavar="N", help="Keep one of every N numbers."),
    click.option(
        "--keep-younger-than",
        type=AgeType(),
        metavar="AGE",
        help="Keep those younger than this, such as 7d.",
    ),
)


def with_policy(command: Callable[..., None]) -> Callable[..., None]:
    """
    Add the options that make a policy to a command.
    """
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def policy_of(rules: Mapping[str, Any]) -> RetentionPolicy:
    """
    Return the policy that the options make.
    """
    return RetentionPolicy(
        keep_last=rules["keep_last"] or 0,
        keep_best=(
            *(KeepBest(metric, count) for metric, count in rules["keep_best"]),
            *(KeepBest(metric, count, lowest=True) for metric, count in rules["keep_lowest"]),
        ),
        keep_every=rules["keep_every"] or 0,
        younger_than_seconds=rules["keep_younger_than"] or 0.0,
    )


def check_scope(model: Reference | None, prefix: str | None) -> None:
    """
    Check that either a model or a prefix is given.

    Raises:
        click.UsageError: both are given, or none.
    """
    if (model is None) == (prefix is None):
        raise click.UsageError("name a MODEL, or models by --prefix, and not both; --prefix '' means all models")


def scope_text(model_id: str | None, prefix: str | None) -> str:
    """
    Return where a policy is set, for people.
    """
    if model_id is not None:
        return f"model {harmless_id(model_id)}"
    return f"models that begin with {harmless(prefix)}" if prefix else "all models"


def policy_object(policy: RetentionPolicy) -> dict[str, Any]:
    """
    Return a policy as a JSON object.
    """
    return {
        "keep_last": policy.keep_last or None,
        "keep_best": [{"metric": rule.metric, "count": rule.count, "lowest": rule.lowest} for rule in policy.keep_best],
        "keep_every": policy.keep_every or None,
        "keep_younger_than_seconds": policy.younger_than_seconds or None,
    }


def policy_text(policy: RetentionPolicy) -> str:
    """
    Return what a policy keeps, as a clause.
    """
    rules = [f"the newest {policy.keep_last}"] if policy.keep_last else []
    for rule in policy.keep_best:
        rules.append(f"the {rule.count} with the {'lowest' if rule.lowest else 'highest'} {harmless(rule.metric)}")
    if policy.keep_every:
        rules.append(f"one of every {policy.keep_every} numbers")
    if policy.younger_than_seconds:
        rules.append(f"those younger than {_age_text(policy.younger_than_seconds)}")
    return " + ".join(rules) or "all versions"


def _age_text(seconds: float) -> str:
    for unit, unit_seconds in reversed(_UNIT_SECONDS.items()):
        if seconds % unit_seconds == 0:
            return f"{seconds / unit_seconds:g}{unit}"
    return f"{seconds:g}s"
