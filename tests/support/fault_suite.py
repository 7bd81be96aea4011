"""
The tests of a fault, or the death of the process, at each system call of some acts.
"""

import os
from collections.abc import Sequence
from functools import partial

from tests.support.fault_case import FaultCase
from tests.support.faulty_system import Killed, failing_at, failing_from, killed_at
from twisted_registry.domain.errors import StorageFailure, StorageFull, StorageReadOnly


class FaultSuite(FaultCase):
    """
    The tests of a fault at each system call of some acts.

    Attributes:
        errors: the errors of the system.
    """

    errors: Sequence[int] = ()

    def test_one_fault(self) -> None:
        """
        If one call fails, the operation succeeds or raises an error; then nothing of it is left open or on disk.
        """
        for number in self.errors:
            for attempt in self.attempts(partial(failing_at, number)):
                if isinstance(attempt.error, StorageFull | StorageReadOnly | StorageFailure):
                    self.assertEqual(attempt.error.reason, os.strerror(number))
                    self.assertEqual(attempt.private() + attempt.data_without_yaml(), [])
                self.assertEqual(
                    list(attempt.system.descriptors.values()), [str(attempt.root), str(attempt.root / ".0" / "claim")]
                )
                self.check_content(attempt, attempt.archive)
                self.check_reopened(attempt)

    def test_lasting_fault(self) -> None:
        """
        If every call fails from some point on, the reported outcome is true, and leftovers are swept later.
        """
        for number in self.errors:
            for attempt in self.attempts(partial(failing_from, number)):
                self.assertEqual(
                    list(attempt.system.descriptors.values()), [str(attempt.root), str(attempt.root / ".0" / "claim")]
                )
                self.check_reopened(attempt)
                self.assertEqual(attempt.data_without_yaml(), [])

    def test_killed(self) -> None:
        """
        If the process dies, an act is complete or has no effect, and its leftovers are swept.
        """
        for attempt in self.attempts(killed_at):
            self.assertIsInstance(attempt.error, Killed)
            self.check_reopened(attempt)
            self.assertEqual(attempt.data_without_yaml(), [])
