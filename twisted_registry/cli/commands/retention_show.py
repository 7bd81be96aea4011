"""
The command that shows a retention policy.
"""

import click

from twisted_registry.cli.errors import EXIT_STATUS_HELP
from twisted_registry.cli.output import json_option, print_facts, print_object
from twisted_registry.cli.params import ModelType
from twisted_registry.cli.retention_rules import check_scope, policy_object, policy_text, scope_text
from twisted_registry.cli.server import Server, with_server
from twisted_registry.domain.references import Reference
from twisted_registry.domain.retention import RetentionPolicy

_HELP = """Show the retention policy that applies to MODEL, and where it is set; or the policy of --prefix.

\b
Examples:
  twisted-registry retention show walker
  twisted-registry retention show --prefix team-a/
"""


@click.command(help=_HELP, epilog=EXIT_STATUS_HELP)
@click.argument("model", metavar="[MODEL]", required=False, type=ModelType("a policy is for all versions of a model"))
@click.option("--prefix", metavar="TEXT", help="The policy that is set for the ids that begin with it.")
@json_option
@with_server
def show(server: Server, model: Reference | None, prefix: str | None, as_json: bool) -> None:
    """
    Run the command.
    """
    check_scope(model, prefix)
    with server.client() as client:
        found = client.retention(model_id=None if model is None else model.model_id, prefix=prefix)
    print_policy(found.policy, found.model_id, found.prefix, as_json)


def print_policy(policy: RetentionPolicy | None, model_id: str | None, prefix: str | None, as_json: bool) -> None:
    """
    Print a policy.

    Args:
        policy: the policy; ``None`` if there is none.
        model_id: the model for which it is set.
        prefix: the prefix for which it is set.
    """
    if as_json:
        print_object(
            {"model_id": model_id, "prefix": prefix, "policy": None if policy is None else policy_object(policy)}
        )
        return
    keeps = "all versions: there is no policy" if policy is None else policy_text(policy)
    print_facts({"set for": scope_text(model_id, prefix), "keeps": keeps})
