"""
The changes of a release: its version, its fragments in news/, and its section of the changelog, which towncrier writes.
"""

import re
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

from packaging.version import Version

from release import Refused
from release.repository import output_of

CHANGELOG = Path("CHANGELOG.md")
NEWS = Path("news")
SOURCE = Path("twisted_registry", "__init__.py")

LINE = r'^__version__ = "(.*)"$'
"""The line of the source that has the version, as an expression that git understands too."""

_MAJOR, _MINOR, _PATCH = range(3)

STEPS: Mapping[str, int] = {
    "breaking": _MAJOR,
    "feature": _MINOR,
    "fix": _PATCH,
    "docs": _PATCH,
    "misc": _PATCH,
}
"""The part of a version that each kind of fragment raises."""

_FORM = re.compile(r"\d+\.\d+\.\d+(\.dev\d+)?")
_FRAGMENT = re.compile(r"\+[a-z0-9-]+\.([a-z]+)\.md")
_HEADLINE = re.compile(r"^## \[(.*)\] - \d{4}-\d\d-\d\d$", re.MULTILINE)


def version_of(text: str) -> Version:
    """
    Parse a version.

    Raises:
        Refused: it is neither X.Y.Z nor X.Y.Z.devN.
    """
    if not _FORM.fullmatch(text):
        raise Refused(f"the version {text} is neither X.Y.Z nor X.Y.Z.devN")
    return Version(text)


def version_in(root: Path) -> Version:
    """
    Read the version of the package.

    Raises:
        Refused: the source has none, or one of another form.
    """
    found = re.search(LINE, (root / SOURCE).read_text(), re.MULTILINE)
    if found is None:
        raise Refused(f"{SOURCE} has no line with __version__")
    return version_of(found[1])


def write_version(root: Path, version: Version) -> None:
    """
    Write the version of the package.
    """
    text = (root / SOURCE).read_text()
    (root / SOURCE).write_text(re.sub(LINE, f'__version__ = "{version}"', text, flags=re.MULTILINE))


def next_version(current: Version, kinds: Collection[str]) -> Version:
    """
    Return the version that follows another, by Semantic Versioning.  X.Y.Z follows X.Y.Z.devN in any case.

    Args:
        current: the version of the package.
        kinds: the kinds of the fragments.

    Raises:
        Refused: there are no fragments.
    """
    if not kinds:
        raise Refused("there is no fragment in news/, so there is nothing to release")
    if current.is_devrelease:
        return Version(current.base_version)
    step = min(STEPS[kind] for kind in kinds)
    if current.major == 0:
        # Before 1.0.0, a minor version may break things.
        step = max(step, _MINOR)
    parts = [*current.release[:step], current.release[step] + 1, 0, 0]
    return Version(".".join(map(str, parts[:3])))


def kinds_in(root: Path) -> list[str]:
    """
    Return the kinds of the fragments, one for each.

    Raises:
        Refused: a file in news/ is not a fragment: towncrier would skip it, and its news would be lost.
    """
    return [_kind(path.name) for path in sorted((root / NEWS).glob("*")) if path.name != "README.md"]


def _kind(name: str) -> str:
    found = _FRAGMENT.fullmatch(name)
    if found is None or found[1] not in STEPS:
        kinds = ", ".join(STEPS)
        raise Refused(f"{NEWS / name} is not a fragment: its name must be +WORDS.KIND.md, KIND one of {kinds}")
    return found[1]


def preview(root: Path, version: Version) -> str:
    """
    Return the section that a version would have.
    """
    return _towncrier(root, version, "--draft").strip()


def write_section(root: Path, version: Version) -> None:
    """
    Write the section of a version into the changelog and remove the fragments; git's index has both.
    """
    _towncrier(root, version, "--yes")


def _towncrier(root: Path, version: Version, *options: str) -> str:
    command = [sys.executable, "-m", "towncrier", "build", "--version", str(version), *options]
    return output_of("towncrier", command, root)


def section_of(root: Path, version: Version) -> str:
    """
    Return the section of a version, with its heading, if it is the topmost one.

    Raises:
        Refused: the package, the changelog and the fragments do not agree.
    """
    if version.is_devrelease:
        raise Refused(f"{version} is not released yet: run make release first")
    if kinds_in(root):
        raise Refused(f"there are fragments in {NEWS}/ that {version} does not contain: is this its commit?")
    text = (root / CHANGELOG).read_text()
    headlines = list(_HEADLINE.finditer(text))
    if not headlines:
        raise Refused(f"{CHANGELOG} has no section of a version")
    if headlines[0][1] != str(version):
        raise Refused(f"{SOURCE} has {version}, but {CHANGELOG} begins with {headlines[0][1]}")
    end = headlines[1].start() if len(headlines) > 1 else len(text)
    return text[headlines[0].start() : end].strip()
