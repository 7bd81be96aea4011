"""
The version that comes next, by Semantic Versioning.
"""

import re
from collections.abc import Collection, Mapping

from packaging.version import Version

from release._refusal import Refused

_MAJOR, _MINOR, _PATCH = range(3)

STEPS: Mapping[str, int] = {
    "breaking": _MAJOR,
    "feature": _MINOR,
    "fix": _PATCH,
    "docs": _PATCH,
    "misc": _PATCH,
}
"""Which part of a version each kind of fragment raises."""

_FORM = re.compile(r"\d+\.\d+\.\d+(\.dev\d+)?")


def version_of(text: str) -> Version:
    """
    Read a version.

    Raises:
        Refused: for one that is neither X.Y.Z nor X.Y.Z.devN.
    """
    if not _FORM.fullmatch(text):
        raise Refused(f"the version {text} is neither X.Y.Z nor X.Y.Z.devN")
    return Version(text)


def next_version(current: Version, kinds: Collection[str]) -> Version:
    """
    Give the version that comes after another.

    X.Y.Z.devN is a version that was named before it was there: X.Y.Z comes next, whatever the fragments are.

    Args:
        current: the version that the package has.
        kinds: the kinds of the fragments.

    Raises:
        Refused: where there are no fragments.
    """
    if not kinds:
        raise Refused("there is no fragment in news/, so there is nothing to release")
    if current.is_devrelease:
        return Version(current.base_version)
    step = min(STEPS[kind] for kind in kinds)
    if current.major == 0:
        # Before 1.0.0 anything may change, and a minor version says so.
        step = max(step, _MINOR)
    return _raised(current, step)


def _raised(version: Version, step: int) -> Version:
    parts = [*version.release[:step], version.release[step] + 1, 0, 0]
    return Version(".".join(map(str, parts[:3])))
