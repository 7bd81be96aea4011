"""
The cases, a file each.
"""

from torture.case import Case
from torture.cases import messages

CASES: tuple[Case, ...] = (messages.CASE,)
"""All of them, in the order they are run in."""
