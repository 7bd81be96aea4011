"""
The command that prints new versions of a model.
"""

import math
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click
from attrs import define

from twisted_registry.cli.errors import EXIT_STATUS_HELP, exit_on_interrupt, report
from twisted_registry.cli.output import json_option, print_version
from twisted_registry.cli.params import ReferenceType
from twisted_registry.cli.progress import ByteProgress
from twisted_registry.cli.references import harmless_reference
from twisted_registry.cli.server import Server, with_server
from twisted_registry.cli.target import Target
from twisted_registry.domain.errors import CorruptVersion, UnknownVersion
from twisted_registry.domain.models import VersionInfo
from twisted_registry.domain.references import Reference

if TYPE_CHECKING:
    from twisted_registry.client import BlockingClient

_HELP = """Print a line for each new version of a model, starting with the latest.

With MODEL@3 it starts with the first version after number 3. With MODEL@ALIAS it prints the version that the alias
names, and again whenever the alias moves. A reader slower than the trainer gets the newest version, not every version.
The command continues through restarts of the registry, and exits when the model or the alias is deleted.

With --pull each version is written to FILE before its line is printed. FILE is replaced atomically: a reader sees one
complete version or the next.

\b
Examples:
  twisted-registry watch walker
  twisted-registry watch --json walker | jq --unbuffered .version_number
  twisted-registry watch --wait --pull /models/walker.pt walker@production
  twisted-registry watch --once walker@7
"""


@click.command(help=_HELP, epilog=EXIT_STATUS_HELP)
@click.argument("reference", metavar="MODEL[@NUMBER|@ALIAS]", type=ReferenceType())
@click.option("--pull", "file", type=click.Path(), metavar="FILE", help="Retrieve each version to FILE.")
@click.option("--once", is_flag=True, help="Exit after the first version.")
@click.option("--wait", is_flag=True, help="Wait for the registry, and for a model or alias that does not exist yet.")
@json_option
@with_server
def watch(server: Server, reference: Reference, file: str | None, once: bool, wait: bool, as_json: bool) -> None:
    """
    Run the command.
    """
    after = reference.selector or 0
    if after < 0:
        raise click.UsageError("use MODEL@3 to start after version 3, or MODEL to start with the latest version")
    target = None if file is None else Target(file)
    progress = _Progress(target)
    with exit_on_interrupt(progress.outcome), ExitStack() as stack:
        if target is not None:
            target.check()
        client = stack.enter_context(server.client())
        # Retries forever: the tracker would not report the same version again.
        puller = stack.enter_context(server.client(retry_seconds=math.inf))
        followed = Reference(reference.model_id, alias=reference.alias)
        tracker = stack.enter_context(client.track(str(followed), wait=wait))
        for info in tracker:
            if info.version_number > after and (target is None or _is_pulled(puller, info, target)):
                progress.latest = info
                print_version(info, as_json)
                if once:
                    return


@define
class _Progress:
    """
    The state of a watch.

    Attributes:
        latest: the version printed last.
    """

    _target: Target | None
    latest: VersionInfo | None = None

    def outcome(self) -> str:
        """
        Return a sentence on the last version, for an interruption.
        """
        if self._target is not None:
            return self._target.outcome()
        if self.latest is None:
            return "no version came"
        return f"the last version was {harmless_reference(self.latest.model_id, self.latest.version_number)}"


def _is_pulled(client: "BlockingClient", info: VersionInfo, target: Target) -> bool:
    try:
        with ByteProgress("receiving") as bar:
            bar.set_total(info.size_bytes)
            target.retrieve(client, info, bar)
    except UnknownVersion:
        return False  # It was evicted: there is a newer one, or soon will be.
    except CorruptVersion as error:
        # Imported late: it imports gRPC.
        from twisted_registry.cli.advice import explain

        report(explain(error))
        return False
    return True
