"""
The command that deletes the versions that a retention policy does not keep.
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from twisted_registry.cli.confirmation import check_confirmable
from twisted_registry.cli.errors import EXIT_STATUS_HELP, ExitStatus, exit_on_interrupt
from twisted_registry.cli.output import json_option, print_line, print_object, print_table
from twisted_registry.cli.params import ModelType
from twisted_registry.cli.retention_rules import check_scope, policy_of, with_policy
from twisted_registry.cli.server import Server, with_server
from twisted_registry.cli.text import harmless_id, size
from twisted_registry.domain.references import Reference

if TYPE_CHECKING:
    from twisted_registry.client import Pruned

_HELP = """Delete the versions of MODEL, or of all models whose ids begin with --prefix, that retention does not keep.

Without rules those of the policies that are set apply. The latest version, those that an alias names, and those with
the label 'pin' are always kept. --dry-run only lists what would be deleted. On a terminal the command asks for
confirmation; elsewhere it requires --yes.

\b
Examples:
  twisted-registry prune walker --keep-last 10 --keep-best return=3 --dry-run
  twisted-registry prune walker --yes
  twisted-registry prune --prefix team-a/ --keep-younger-than 30d --dry-run
"""

_SHOWN_RANGES = 20


@click.command(help=_HELP, epilog=EXIT_STATUS_HELP)
@click.argument("model", metavar="[MODEL]", required=False, type=ModelType("'rm' deletes a single version"))
@click.option("--prefix", metavar="TEXT", help="All models whose ids begin with it.")
@with_policy
@click.option("--dry-run", is_flag=True, help="Only list what would be deleted.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
@json_option
@with_server
def prune(
    server: Server, model: Reference | None, prefix: str | None, dry_run: bool, yes: bool, as_json: bool, **rules: Any
) -> None:
    """
    Run the command.
    """
    check_scope(model, prefix)
    policy = policy_of(rules)
    scope: dict[str, Any] = {
        "model_id": None if model is None else model.model_id,
        "prefix": prefix,
        "policy": None if policy.keeps_all else policy,
    }
    check_confirmable(yes or dry_run)
    with server.client() as client:
        if dry_run:
            _print(client.prune(**scope, dry_run=True), as_json, is_deleted=False)
            return
        with exit_on_interrupt(lambda: "no version was deleted"):
            if not yes and not _is_confirmed(client.prune(**scope, dry_run=True)):
                sys.exit(ExitStatus.FAILED)
        with exit_on_interrupt(lambda: "some versions may have been deleted; 'prune --dry-run' lists the others"):
            _print(client.prune(**scope), as_json, is_deleted=True)


def _is_confirmed(planned: "Pruned") -> bool:
    if not planned.version_count:
        return True
    return click.confirm(f"Delete {_sum(planned)}?", err=True)


def _print(pruned: "Pruned", as_json: bool, is_deleted: bool) -> None:
    if as_json:
        for model in pruned.models:
            print_object(
                {
                    "model_id": model.model_id,
                    "version_numbers": list(model.numbers),
                    "size_bytes": model.size_bytes,
                    "deleted": is_deleted,
                }
            )
        return
    rows = (
        (harmless_id(model.model_id), str(len(model.numbers)), size(model.size_bytes), ranges(model.numbers))
        for model in pruned.models
    )
    print_table(("MODEL", ">VERSIONS", ">SIZE", "NUMBERS"), rows)
    if sys.stdout.isatty():
        done = "deleted" if is_deleted else "would delete"
        print_line(f"{done} {_sum(pruned)}" if pruned.version_count else "nothing to delete")


def _sum(pruned: "Pruned") -> str:
    versions = f"{pruned.version_count:,} version{'' if pruned.version_count == 1 else 's'}"
    models = f"{len(pruned.models):,} model{'' if len(pruned.models) == 1 else 's'}"
    return f"{versions} of {models} ({size(pruned.size_bytes)})"


def ranges(numbers: Sequence[int]) -> str:
    """
    Return ascending numbers as text, such as ``1-3 7``.
    """
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    shown = [str(first) if first == last else f"{first}-{last}" for first, last in found[:_SHOWN_RANGES]]
    return " ".join([*shown, *(["..."] if len(found) > _SHOWN_RANGES else [])])
