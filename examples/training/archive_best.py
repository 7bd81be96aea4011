"""
Archive the best existing version of a model, and point an alias at it.  Its number stays, so that actors, which follow
the newest version, do not notice.
"""

import sys
from argparse import Namespace

from twisted_registry.client import BlockingClient
from twisted_registry.client.errors import UnknownVersion

from score import METRIC
from script import ALIAS, parser, run, say


def main() -> None:
    """
    Read the arguments and archive.
    """
    parsed = parser(__doc__)
    parsed.add_argument("--alias", default=ALIAS, help="the alias that names it from now on (%(default)s)")
    arguments = parsed.parse_args()
    with BlockingClient(arguments.server) as client:
        archive(client, arguments)


def archive(client: BlockingClient, arguments: Namespace) -> None:
    """
    Archive the best version; among equals the newest.
    """
    for record in client.search(arguments.model, f"metrics.{METRIC}:*", f"metrics.{METRIC} desc, number desc"):
        score = f"score {record.metrics[METRIC]:.1f}"
        try:
            client.set_alias(record, arguments.alias, reason=score)  # archives the version first
        except UnknownVersion:
            continue  # it was evicted meanwhile
        say(f"version {record.number} of {arguments.model}, {score}, is archived")
        say(f"{arguments.model}@{arguments.alias} names it")
        return
    sys.exit(f"{sys.argv[0]}: no version of {arguments.model} has a score: has the trainer run?")


if __name__ == "__main__":
    run(main)
