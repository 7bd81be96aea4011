"""
The checks that the readers of the policy's tables share.  They go on after a mistake, to report all of them.
"""

from datetime import UTC, datetime

from twisted_registry.config.tables import Table, TableReader

__all__ = ["PolicyReader", "Table"]


class PolicyReader(TableReader):
    """
    The mistakes in a policy, and the checks of values that several of its tables have.
    """

    def time(self, where: str, table: Table, key: str) -> float | None:
        """
        Return the value of a key with a time, in seconds since the Unix epoch; ``None`` without one.
        """
        value = table.get(key)
        if value is None:
            return None
        if not isinstance(value, datetime) or value.tzinfo is None:
            self.refuse(f"{where} has {key!r} without a time zone; write it as 2027-01-01T00:00:00Z")
            return 0.0
        try:
            return value.astimezone(UTC).timestamp()
        except OverflowError:
            self.refuse(f"{where} has {key!r} outside the calendar; leave it out for a grant without an end")
            return 0.0
