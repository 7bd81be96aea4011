"""
The cases, a file each.
"""

from torture.case import Case
from torture.cases import bit_flips, faults, histories, memory, messages, parsers, power_cuts

CASES: tuple[Case, ...] = (
    messages.CASE,
    memory.CASE,
    bit_flips.CASE,
    histories.CASE,
    power_cuts.CASE,
    faults.CASE,
    parsers.CASE,
)
"""All of them, in the order they are run in."""
