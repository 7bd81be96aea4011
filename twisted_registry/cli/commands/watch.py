"""
The command that follows a model.
"""

import math
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click
from attrs import define

from twisted_registry.cli.advice import explain
from twisted_registry.cli.errors import EXIT_STATUS_HELP, exit_on_interrupt, report
from twisted_registry.cli.output import json_option, print_version
from twisted_registry.cli.params import ReferenceType
from twisted_registry.cli.progress import ByteProgress
from twisted_registry.cli.references import Reference, harmless_reference
from twisted_registry.cli.server import Server, with_server
from twisted_registry.cli.target import Target
from twisted_registry.domain.errors import CorruptVersion, UnknownVersion
from twisted_registry.domain.models import VersionInfo

if TYPE_CHECKING:
    from twisted_registry.client import BlockingClient

_HELP = """Print a line for each new version of a model, beginning with the latest there is.

With MODEL@3 it begins with the first one after number 3. Who is slower than the trainer is given the newest version,
not all of them. It goes on through restarts of the registry, and ends when the model is deleted.

With --pull each version is written to FILE before its line is printed. Whoever opens FILE finds one version or the
next, whole.

\b
Examples:
  twisted-registry watch walker
  twisted-registry watch --json walker | jq --unbuffered .version_number
  twisted-registry watch --wait --pull /models/walker.pt walker
  twisted-registry watch --once walker@7
"""


@click.command(help=_HELP, short_help="Print new versions as they come.", epilog=EXIT_STATUS_HELP)
@click.argument("reference", metavar="MODEL[@NUMBER]", type=ReferenceType())
@click.option("--pull", "file", type=click.Path(), metavar="FILE", help="Retrieve each version to FILE.")
@click.option("--once", is_flag=True, help="End after the first one.")
@click.option("--wait", is_flag=True, help="Wait for a model that is not there yet, and for the registry.")
@json_option
@with_server
def watch(server: Server, reference: Reference, file: str | None, once: bool, wait: bool, as_json: bool) -> None:
    """
    Run the command.
    """
    after = reference.selector or 0
    if after < 0:
        raise click.UsageError("it begins after a number, such as MODEL@3, or with the latest: MODEL")
    target = None if file is None else Target(file)
    watching = _Watching(target)
    with exit_on_interrupt(watching.outcome), ExitStack() as stack:
        if target is not None:
            target.check()
        client = stack.enter_context(server.client())
        # As long as it takes: the tracker would not tell of the same version again.
        puller = stack.enter_context(server.client(retry_seconds=math.inf))
        tracker = stack.enter_context(client.track(reference.model_id, wait=wait))
        for info in tracker:
            if info.version_number > after and (target is None or _is_pulled(puller, info, target)):
                watching.latest = info
                print_version(info, as_json)
                if once:
                    return


@define
class _Watching:
    """
    What a watch has come to.

    Attributes:
        latest: the version printed last.
    """

    _target: Target | None
    latest: VersionInfo | None = None

    def outcome(self) -> str:
        """
        Say it.
        """
        if self._target is not None:
            return self._target.outcome()
        if self.latest is None:
            return "no version came"
        return f"the last version was {harmless_reference(self.latest.model_id, self.latest.version_number)}"


def _is_pulled(client: "BlockingClient", info: VersionInfo, target: Target) -> bool:
    try:
        with ByteProgress("receiving") as bar:
            bar.expect(info.size_bytes)
            target.retrieve(client, info, bar)
    except UnknownVersion:
        return False  # It was evicted meanwhile: there is a newer one, or soon will be.
    except CorruptVersion as damaged:
        report(explain(damaged))
        return False
    return True
