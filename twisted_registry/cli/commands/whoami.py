"""
The command that shows who the user is for a registry.
"""

import click

from twisted_registry.cli.caller import ask_for_caller
from twisted_registry.cli.errors import EXIT_STATUS_HELP, fail
from twisted_registry.cli.output import json_option, print_facts, print_object
from twisted_registry.cli.server import Server, with_server
from twisted_registry.cli.text import exact_timestamp, harmless_id

_HELP = """Show who you are for the registry: the caller that it sees in your token or your certificate.

\b
Examples:
  twisted-registry whoami
  twisted-registry whoami --json | jq -r .caller
"""

_NS = 10**9


@click.command(help=_HELP, epilog=EXIT_STATUS_HELP)
@json_option
@with_server
def whoami(server: Server, as_json: bool) -> None:
    """
    Run the command.
    """
    with server.client() as client:
        caller = ask_for_caller(client)
    if not caller.name:
        fail(f"the registry at {server.address} does not say who calls; it is an older one, or another implementation")
    if as_json:
        ends = None if caller.ends_seconds is None else exact_timestamp(caller.ends_seconds * _NS)
        print_object({"caller": caller.name, "token_id": caller.token_id or None, "ends": ends})
        return
    facts = {"caller": harmless_id(caller.name)}
    if caller.is_anyone:
        facts["caller"] += " (the registry has no access control)"
    if caller.token_id:
        facts["token"] = harmless_id(caller.token_id)
    if caller.ends_seconds is not None:
        facts["ends"] = caller.ends
    print_facts(facts)
