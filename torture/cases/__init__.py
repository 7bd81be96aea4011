"""
The cases, a file each.
"""

from torture.case import Case
from torture.cases import (
    bit_flips,
    creates,
    faults,
    histories,
    kills,
    memory,
    messages,
    parsers,
    power_cuts,
    subscribers,
)

CASES: tuple[Case, ...] = (
    messages.CASE,
    memory.CASE,
    bit_flips.CASE,
    histories.CASE,
    power_cuts.CASE,
    faults.CASE,
    parsers.CASE,
    kills.CASE,
    creates.CASE,
    subscribers.CASE,
)
"""All of them, in the order they are run in."""
