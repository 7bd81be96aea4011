"""
The command that deletes the versions that a retention policy does not keep.
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
from attrs import define

from twisted_registry.cli.confirmation import check_confirmable
from twisted_registry.cli.errors import EXIT_STATUS_HELP, ExitStatus, exit_on_interrupt, report
from twisted_registry.cli.output import json_option, print_line, print_object, print_table
from twisted_registry.cli.params import ModelType
from twisted_registry.cli.retention_rules import check_scope, policy_of, with_policy
from twisted_registry.cli.server import Server, with_server
from twisted_registry.cli.text import harmless_id, size
from twisted_registry.domain.references import Reference

if TYPE_CHECKING:
    from twisted_registry.client import BlockingClient, Pruned, PrunedModel

_HELP = """Delete the versions of MODEL, or of all models whose ids begin with --prefix, that retention does not keep.

Without rules those of the policies that are set apply. The latest version, those that an alias names, and those with
the label 'pin' are always kept. --dry-run only lists what would be deleted. On a terminal the command lists it, asks
for confirmation, and deletes nothing else; elsewhere it requires --yes. If it is interrupted, what is left stays.

\b
Examples:
  twisted-registry prune walker --keep-last 10 --keep-best return=3 --dry-run
  twisted-registry prune walker --yes
  twisted-registry prune --prefix team-a/ --keep-younger-than 30d --dry-run
"""

_SHOWN_RANGES = 20
_SHOWN_MODELS = 20


@define
class _Progress:
    """
    The versions that were deleted so far.
    """

    version_count: int = 0
    size_bytes: int = 0

    def add(self, part: "PrunedModel") -> None:
        """
        Add a part.
        """
        self.version_count += len(part.numbers)
        self.size_bytes += part.size_bytes

    def outcome(self) -> str:
        """
        Return what became of an interrupted run, as a sentence.
        """
        done = f"{_versions(self.version_count)} ({size(self.size_bytes)})" if self.version_count else "no version"
        was = "was" if self.version_count <= 1 else "were"
        return (
            f"{done} {was} reported as deleted, and the registry stops after at most some tens more; the others stay, "
            "and --dry-run lists them"
        )


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
            planned = client.prune(**scope, dry_run=True)
            _print(planned, as_json, is_deleted=False)
            _report_skipped(planned)
        else:
            _delete(client, scope, None if yes else _confirmed(client, scope), as_json)


def _confirmed(client: "BlockingClient", scope: dict[str, Any]) -> "Pruned":
    """
    Show what would be deleted, and ask.
    """
    with exit_on_interrupt(lambda: "no version was deleted"):
        planned = client.prune(**scope, dry_run=True)
        if planned.version_count:
            for model in planned.models[:_SHOWN_MODELS]:
                click.echo(
                    f"{harmless_id(model.model_id)}: {ranges(model.numbers)} ({size(model.size_bytes)})", err=True
                )
            if len(planned.models) > _SHOWN_MODELS:
                click.echo(f"and {len(planned.models) - _SHOWN_MODELS:,} more models", err=True)
            if not click.confirm(f"Delete {_sum(planned)}?", err=True):
                sys.exit(ExitStatus.FAILED)
    return planned


def _delete(client: "BlockingClient", scope: dict[str, Any], planned: "Pruned | None", as_json: bool) -> None:
    progress = _Progress()
    with exit_on_interrupt(progress.outcome):
        try:
            pruned = client.prune(**scope, only=planned, progress=progress.add)
        except Exception:
            if progress.version_count:
                report(
                    f"{_versions(progress.version_count)} ({size(progress.size_bytes)}) were deleted before the error"
                )
            raise
        _print(pruned, as_json, is_deleted=True)
    kept = 0 if planned is None else planned.version_count - pruned.version_count
    if kept:
        report(f"{_versions(kept)} of the list stayed: deleted by others, or kept now by an alias, a label or a rule")
    _report_skipped(pruned)


def _report_skipped(pruned: "Pruned") -> None:
    """
    Report the models that were left out; exit with 1 if any is damaged.
    """
    for skipped in pruned.skipped:
        report(f"left out {harmless_id(skipped.model_id)}: {skipped.message}")
    if any(skipped.reason != "UNKNOWN_MODEL" for skipped in pruned.skipped):
        sys.exit(ExitStatus.FAILED)


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


def _versions(count: int) -> str:
    return f"{count:,} version{'' if count == 1 else 's'}"


def _sum(pruned: "Pruned") -> str:
    models = f"{len(pruned.models):,} model{'' if len(pruned.models) == 1 else 's'}"
    return f"{_versions(pruned.version_count)} of {models} ({size(pruned.size_bytes)})"


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
