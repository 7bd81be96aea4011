"""
Ways to damage an archive.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from twisted_registry.storage.filesystem.verify.archive import Scrub
from twisted_registry.storage.filesystem.verify.findings import Finding, Kind


def flip_bit(path: Path, position: int = 0) -> None:
    """
    Change one bit of a file.
    """
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def findings(root: Path, jobs: int = 2) -> list[Finding]:
    """
    Verify an archive.
    """
    with Scrub(str(root), jobs=jobs) as scrub:
        return list(scrub.findings())


def damage(found: Iterable[Finding]) -> Sequence[tuple[Kind, str | None, int | None]]:
    """
    Return the damage: its kind, and the damaged thing.
    """
    return [(finding.kind, finding.model_id, finding.version_number) for finding in found if finding.is_damage]
