"""
Fetch an archived version into a file and verify it: its hash, that it contains a policy, and that the policy is as good
as when it was archived.  If a check fails, the version is refused and the file stays as it was.
"""

import os
import sys
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

from twisted_registry.client import BlockingClient, VersionInfo

from cartpole import NotAPolicy, Policy
from score import Score
from script import ALIAS, parser, run, say


class Refused(Exception):
    """
    The error for a file that is not the archived version, or not as good.
    """


def main() -> None:
    """
    Read the arguments and deploy.
    """
    parsed = parser(__doc__)
    parsed.add_argument("--version", default=ALIAS, help="its number, or an alias that names it (%(default)s)")
    parsed.add_argument("--only-verify", action="store_true", help="fetch nothing: verify the file that is there")
    parsed.add_argument("file", type=Path)
    arguments = parsed.parse_args()
    with BlockingClient(arguments.server) as client:
        try:
            deploy(client, arguments.model, arguments.version, arguments.file, arguments.only_verify)
        except (Refused, OSError) as error:
            sys.exit(f"{sys.argv[0]}: {error}")


def deploy(client: BlockingClient, model_id: str, version: str, file: Path, only_verify: bool) -> None:
    """
    Fetch a version and verify it, or only verify the file.
    """
    info = client.get(f"{model_id}@{version}").info
    if only_verify:
        score = verify(file, info)
    else:
        candidate = file.with_name(f"{file.name}.candidate")
        client.retrieve_file(model_id, candidate, info)
        score = verify(candidate, info)
        os.replace(candidate, file)
    say(f"{file} is version {info.version_number} of {model_id}, score {score.mean:.1f}, verified")


def verify(file: Path, info: VersionInfo) -> Score:
    """
    Compare a file with the info of a version.

    Raises:
        Refused: they differ.
    """
    data = file.read_bytes()
    if b64encode(sha256(data).digest()).decode() != info.sha256:
        raise Refused(f"{file} is refused: its hash is not that of version {info.version_number}")
    archived = Score.from_metadata(info.metadata)
    if archived is None:
        raise Refused(f"{file} is refused: version {info.version_number} was archived without a score")
    try:
        score = archived.again(Policy.from_bytes(data))
    except NotAPolicy as error:
        raise Refused(f"{file} is refused: {error}") from None
    if not archived.is_near(score):
        raise Refused(f"{file} is refused: its score is {score.mean:.1f}, and was archived as {archived.mean:.1f}")
    return score


if __name__ == "__main__":
    run(main)
