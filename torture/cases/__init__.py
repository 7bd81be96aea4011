"""
The cases, a file each.
"""

from torture.case import Case
from torture.cases import bit_flips, histories, memory, messages

CASES: tuple[Case, ...] = (
    messages.CASE,
    memory.CASE,
    bit_flips.CASE,
    histories.CASE,
)
"""All of them, in the order they are run in."""
