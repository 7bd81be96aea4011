"""
The end of the programs that generate a page: write it, or check that it is current.
"""

import sys
from pathlib import Path

_ROOT = Path(__file__).parents[1]


def write_or_check(path: Path, text: str) -> int:
    """
    Write a page; with the argument ``--check``, only compare it.

    Args:
        path: the file of the page.
        text: the current text.

    Returns:
        the exit status.
    """
    if "--check" not in sys.argv[1:]:
        path.write_text(text)
        return 0
    if path.exists() and path.read_text() == text:
        return 0
    print(f"{path.relative_to(_ROOT)} is not current: run 'make reference'", file=sys.stderr)
    return 1
