"""
The cases, a file each.
"""

from tests.robustness.case import Case
from tests.robustness.cases import (
    backups,
    bit_flips,
    comparisons,
    creates,
    credentials,
    deliveries,
    ext4_power_cuts,
    faults,
    histories,
    kills,
    machines,
    memory,
    messages,
    parsers,
    permissions,
    power_cuts,
    registry_kills,
    reloads,
    strangers,
    subscribers,
    system_calls,
    transfers,
    verify,
)

CASES: tuple[Case, ...] = (
    messages.CASE,
    memory.CASE,
    bit_flips.CASE,
    histories.CASE,
    power_cuts.CASE,
    faults.CASE,
    system_calls.CASE,
    ext4_power_cuts.CASE,
    parsers.CASE,
    kills.CASE,
    registry_kills.CASE,
    creates.CASE,
    deliveries.CASE,
    subscribers.CASE,
    machines.CASE,
    verify.CASE,
    transfers.CASE,
    strangers.CASE,
    permissions.CASE,
    credentials.CASE,
    reloads.CASE,
    comparisons.CASE,
    backups.CASE,
)
"""All of them, in the order they are run in."""
