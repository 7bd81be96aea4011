"""
The cases, a file each.
"""

from torture.case import Case

CASES: tuple[Case, ...] = ()
"""All of them, in the order they are run in."""
