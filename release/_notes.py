"""
What a release brings: fragments in news/, which towncrier gathers into a section of the changelog.
"""

import re
import sys
from pathlib import Path

from packaging.version import Version

from release._command import output_of
from release._refusal import Refused
from release._version import STEPS

CHANGELOG = Path("CHANGELOG.md")
NEWS = Path("news")

_README = "README.md"
_FRAGMENT = re.compile(r"\+[a-z0-9-]+\.([a-z]+)\.md")
_HEADLINE = re.compile(r"^## \[(.*)\] - \d{4}-\d\d-\d\d$", re.MULTILINE)


def kinds_in(root: Path) -> list[str]:
    """
    Give the kinds of the fragments, one for each.

    Raises:
        Refused: where a file is none: towncrier would pass over it, and its news be lost.
    """
    return [_kind(path.name) for path in sorted((root / NEWS).glob("*")) if path.name != _README]


def _kind(name: str) -> str:
    found = _FRAGMENT.fullmatch(name)
    if found is None or found[1] not in STEPS:
        raise Refused(f"{NEWS / name} is no fragment: its name must be +WORDS.KIND.md, KIND one of {', '.join(STEPS)}")
    return found[1]


def draft(root: Path, version: Version) -> str:
    """
    Give the section that a version would have.
    """
    return _towncrier(root, version, "--draft").strip()


def gather(root: Path, version: Version) -> None:
    """
    Write a version's section into the changelog, and remove the fragments; git is told of both.
    """
    _towncrier(root, version, "--yes")


def _towncrier(root: Path, version: Version, *options: str) -> str:
    command = [sys.executable, "-m", "towncrier", "build", "--version", str(version), *options]
    return output_of("towncrier", command, root)


def newest_section(root: Path) -> tuple[str, str]:
    """
    Give the changelog's topmost section.

    Returns:
        its version, and all of it with its headline.

    Raises:
        Refused: where there is none yet.
    """
    text = (root / CHANGELOG).read_text()
    headlines = list(_HEADLINE.finditer(text))
    if not headlines:
        raise Refused(f"{CHANGELOG} has no section of a version")
    end = headlines[1].start() if len(headlines) > 1 else len(text)
    return headlines[0][1], text[headlines[0].start() : end].strip()
