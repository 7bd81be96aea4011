"""
The command that shows the state of a registry.
"""

import re
import sys
from collections.abc import Mapping
from contextlib import suppress

import click

from twisted_registry.cli.errors import EXIT_STATUS_HELP, ExitStatus
from twisted_registry.cli.output import json_option, print_facts, print_object
from twisted_registry.cli.server import Server, with_server
from twisted_registry.cli.text import duration, harmless_id, size

_HELP = """Show whether the registry is serving, which software it runs, and what it holds in memory.

The exit status is 0 if the registry is serving, and 3 if not.

\b
Examples:
  twisted-registry status
  twisted-registry status --retry-seconds 0 --server models:9000
  twisted-registry status --json | jq -r .statuses.subscribers
"""

_WHOLE_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,14})")
_FRACTION = re.compile(r"-?(0|[1-9][0-9]{0,14})\.[0-9]{1,15}")


@click.command(help=_HELP, epilog=EXIT_STATUS_HELP)
@json_option
@with_server
def status(server: Server, as_json: bool) -> None:
    """
    Run the command.
    """
    with server.client() as client:
        serving = client.is_serving()
        # A registry that starts or stops answers no other call.
        versions = client.server_versions() if serving else {}
        statuses = client.statuses("*") if serving else {}
    if as_json:
        typed = {name: _typed(value) for name, value in statuses.items()}
        print_object({"server": server.address, "serving": serving, "versions": versions, "statuses": typed})
    else:
        state = "serving" if serving else "not serving"
        print_facts({"server": harmless_id(server.address), "state": state, **_facts(versions, statuses)})
    if not serving:
        sys.exit(ExitStatus.UNREACHABLE)


def _facts(versions: Mapping[str, str], statuses: Mapping[str, str]) -> dict[str, str]:
    facts = {f"{harmless_id(name)} version": harmless_id(version) for name, version in versions.items()}
    for name, value in sorted(statuses.items()):
        facts[harmless_id(name).removesuffix("_seconds").replace("_", " ")] = _readable(name, value)
    return facts


def _typed(value: str) -> str | int | float:
    """
    Return a status as a number if every JSON reader can represent it without loss.
    """
    if _WHOLE_NUMBER.fullmatch(value):
        return int(value)
    return float(value) if _FRACTION.fullmatch(value) else value


def _readable(name: str, value: str) -> str:
    # Another implementation of the registry may use another format: its value is shown as it is.
    with suppress(ValueError, OverflowError):
        if name == "uptime_seconds":
            return duration(float(value))
        if name == "bytes_in_memory":
            return size(int(value))
    if name == "idempotency_keys":
        return ", ".join(map(harmless_id, value.split(",")))
    return harmless_id(value)
