"""
The command that sets a retention policy.
"""

import sys
from typing import TYPE_CHECKING, Any

import click

from twisted_registry.cli.commands.retention_show import print_policy
from twisted_registry.cli.errors import EXIT_STATUS_HELP, ExitStatus, exit_on_interrupt
from twisted_registry.cli.outcomes import outcome
from twisted_registry.cli.output import json_option, print_line
from twisted_registry.cli.params import ModelType
from twisted_registry.cli.references import model_word
from twisted_registry.cli.retention_rules import check_scope, policy_of, policy_text, scope_text, with_policy
from twisted_registry.cli.server import Server, with_server
from twisted_registry.cli.text import size
from twisted_registry.domain.references import Reference
from twisted_registry.domain.retention import RetentionPolicy

if TYPE_CHECKING:
    from twisted_registry.client import BlockingClient, Retention

_HELP = """Set the retention policy of MODEL, or of all models whose ids begin with --prefix.

A version is kept if any rule keeps it. The latest version, those that an alias names, and those with the label 'pin'
are always kept. The registry deletes all others, archived ones as well, in the background. A model's own policy
replaces that of its prefix, and a longer prefix a shorter one. --keep-all keeps all versions; --unset removes the
policy. 'prune --dry-run' with the same rules shows what they would delete. If a policy that applies from now on deletes
versions at once, the command says how many, and asks; without a terminal it needs --yes.

\b
Examples:
  twisted-registry retention set walker --keep-last 100 --keep-best return=3 --keep-younger-than 7d
  twisted-registry retention set --prefix team-a/ --keep-last 20
  twisted-registry retention set walker --unset
"""


@click.command("set", help=_HELP, epilog=EXIT_STATUS_HELP)
@click.argument("model", metavar="[MODEL]", required=False, type=ModelType("a policy is for all versions of a model"))
@click.option("--prefix", metavar="TEXT", help="All models whose ids begin with it.")
@with_policy
@click.option("--keep-all", is_flag=True, help="Keep all versions, whatever the policy of a prefix says.")
@click.option("--unset", is_flag=True, help="Remove the policy.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
@json_option
@with_server
def set_(
    server: Server,
    model: Reference | None,
    prefix: str | None,
    keep_all: bool,
    unset: bool,
    yes: bool,
    as_json: bool,
    **rules: Any,
) -> None:
    """
    Run the command.
    """
    check_scope(model, prefix)
    policy = policy_of(rules)
    if (not policy.keeps_all) + keep_all + unset != 1:
        raise click.UsageError(
            "name rules such as --keep-last 100, or --keep-all, or --unset, and only one of the three"
        )
    model_id = None if model is None else model.model_id
    with server.client() as client:
        if not yes and not keep_all:
            _confirm(client, None if unset else policy, model_id, prefix)
        with exit_on_interrupt(lambda: _outcome(server, model_id, prefix)):
            client.set_retention(model_id, prefix=prefix, policy=None if unset else policy)
            if unset:
                _print_removed(client, model_id, prefix, as_json)
            else:
                print_policy(policy, model_id, prefix, as_json)


def _confirm(
    client: "BlockingClient", policy: RetentionPolicy | None, model_id: str | None, prefix: str | None
) -> None:
    """
    Ask before a policy applies that deletes versions at once.

    Args:
        policy: the policy to set; ``None`` to remove the one that is set, so that another one applies.

    Raises:
        click.UsageError: it must ask, and stdin is not a terminal.
    """
    with exit_on_interrupt(lambda: "the policy was not changed"):
        subject, question = "the policy", "Set it?"
        if policy is None:
            found = _next_policy(client, model_id, prefix)
            if found is None or found.policy is None or found.policy.keeps_all:
                return
            policy, subject = found.policy, f"without it, the policy of {scope_text(None, found.prefix)}"
            question = "Remove it?"
        planned = client.prune(model_id=model_id, prefix=prefix, policy=policy, dry_run=True)
        count = planned.version_count
        if not count:
            return
        # A model that has its own policy, or that of a longer prefix, keeps that one.
        up_to = "" if prefix is None else "up to "
        versions = f"{up_to}{count:,} version{'' if count == 1 else 's'} ({size(planned.size_bytes)})"
        effect = f"{subject} deletes {versions} in the background"
        if sys.stdin is None or not sys.stdin.isatty():
            raise click.UsageError(f"{effect}, and stdin is not a terminal, so the command cannot ask: pass --yes")
        if not click.confirm(f"{effect[0].upper()}{effect[1:]}. {question}", err=True):
            sys.exit(ExitStatus.FAILED)


def _next_policy(client: "BlockingClient", model_id: str | None, prefix: str | None) -> "Retention | None":
    """
    Return the policy that applies without that of a model or a prefix: that of the longest prefix which has one.
    """
    if prefix == "":
        return None
    longest = prefix[:-1] if prefix else model_id or ""
    found = (client.retention(prefix=longest[:end]) for end in range(len(longest), -1, -1))
    return next((each for each in found if each.policy is not None), None)


def _outcome(server: Server, model_id: str | None, prefix: str | None) -> str:
    scope = f"--prefix {prefix!r}" if model_id is None else model_word(model_id)
    return outcome(server, None, f"the policy of {scope_text(model_id, prefix)} was changed", f"retention show {scope}")


def _print_removed(client: "BlockingClient", model_id: str | None, prefix: str | None, as_json: bool) -> None:
    """
    Print the policy that applies now that another one was removed.
    """
    if model_id is not None:
        found = client.retention(model_id)
    else:
        found = _next_policy(client, None, prefix) or client.retention(prefix=prefix)
    if as_json:
        print_policy(found.policy, found.model_id, found.prefix, as_json=True)
    elif found.policy is None:
        print_line("removed; no other policy applies: keeps all versions")
    else:
        scope = scope_text(found.model_id, found.prefix)
        print_line(f"removed; the policy of {scope} applies: keeps {policy_text(found.policy)}")
