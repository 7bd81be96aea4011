"""
The version, where the package has it.
"""

import re
from pathlib import Path

from packaging.version import Version

from release._refusal import Refused
from release._version import version_of

SOURCE = Path("twisted_registry", "__init__.py")

LINE = r'^__version__ = "(.*)"$'
"""The line that holds it, as an expression that git understands too."""

_LINE = re.compile(LINE, re.MULTILINE)


def version_in(root: Path) -> Version:
    """
    Read the package's version.

    Raises:
        Refused: where there is none, or one that cannot be counted on from.
    """
    found = _LINE.search((root / SOURCE).read_text())
    if found is None:
        raise Refused(f"{SOURCE} has no line that says __version__")
    return version_of(found[1])


def write_version(root: Path, version: Version) -> None:
    """
    Give the package another version.
    """
    text = (root / SOURCE).read_text()
    (root / SOURCE).write_text(_LINE.sub(f'__version__ = "{version}"', text))
