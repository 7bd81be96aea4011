"""
Archive the best existing version of a model.  It goes to a separate model, whose versions may all be deployed: in the
trained model it would be the newest version, and all actors would switch to it.
"""

import sys
from argparse import Namespace

from twisted_registry.client import BlockingClient, VersionInfo
from twisted_registry.client.errors import CorruptModel, UnknownVersion

from score import Score
from script import parser, run, say


def main() -> None:
    """
    Read the arguments and archive.
    """
    parsed = parser(__doc__)
    parsed.add_argument("--to", default="cartpole-best", help="the model to store it in (%(default)s)")
    arguments = parsed.parse_args()
    with BlockingClient(arguments.server) as client:
        archive(client, arguments)


def archive(client: BlockingClient, arguments: Namespace) -> None:
    """
    Archive the best version.
    """
    for score, info in best_first(client, arguments.model):
        try:
            data = client.retrieve(arguments.model, info)
        except UnknownVersion:
            continue  # it was evicted meanwhile
        make_model(client, arguments.to)
        archived = client.store(arguments.to, data, {**info.metadata, **origin(info)})
        say(f"version {info.version_number} of {arguments.model}, score {score.mean:.1f}, is archived")
        say(f"it is version {archived.version_number} of {arguments.to}")
        return
    sys.exit(f"{sys.argv[0]}: no version of {arguments.model} has a score: has the trainer run?")


def make_model(client: BlockingClient, model_id: str) -> None:
    """
    Create the model if it does not exist.  Existing metadata stays, unless it is damaged.
    """
    metadata = {"task": "cart-pole", "format": "npz"}
    try:
        client.ensure_model(model_id, metadata)
    except CorruptModel:
        client.save_model(model_id, metadata)


def best_first(client: BlockingClient, model_id: str) -> list[tuple[Score, VersionInfo]]:
    """
    Return the versions with a score, the best first; among equals the newest.
    """
    scored = [(score, info) for info in client.versions(model_id) if (score := Score.from_metadata(info.metadata))]
    return sorted(scored, key=lambda each: (each[0].mean, each[1].version_number), reverse=True)


def origin(info: VersionInfo) -> dict[str, str]:
    """
    Return metadata that says where a version came from.
    """
    return {"from_model": info.model_id, "from_version": str(info.version_number)}


if __name__ == "__main__":
    run(main)
