"""
Faults of system calls, one or several in a row, and then a power cut.

Data whose sync failed is not durable, even if a later sync succeeds.
"""

import errno
import os
import random

from attrs import define

from tests.robustness.case import Case
from tests.robustness.disk.archive_story import run_stories
from tests.support.faulty_system import Disturbance

_ERRORS = (errno.EIO, errno.ENOSPC, errno.EMFILE, errno.EROFS)
_CALLS = frozenset(
    {"open", "create", "write", "fsync", "rename", "mkdir", "unlink", "rmdir", "close"} | {"sync_data", "truncate"}
)


@define
class Faults:
    """
    Failures of system calls, by chance.

    Attributes:
        often: how likely each call is to be the first of some that fail.
    """

    chance: random.Random
    often: float
    _left: int = 0
    _number: int = 0

    def __call__(self, call: str) -> None:
        if call.split(maxsplit=1)[0] not in _CALLS:
            return
        if not self._left and self.chance.random() < self.often:
            self._left = self.chance.choice((1, 1, 1, 2, 3, 8))
            self._number = self.chance.choice(_ERRORS)
        if self._left:
            self._left -= 1
            raise OSError(self._number, os.strerror(self._number))


def _faults(chance: random.Random) -> Disturbance:
    return Faults(chance, chance.choice((0.01, 0.03, 0.1)))


CASE = Case(
    name="faults",
    counts="power cuts after failing calls",
    promise="Whatever fails on the disk, nothing is acknowledged that is not so, and nothing is left behind.",
    short=300,
    long=20_000,
    run=lambda trial: run_stories(trial, _faults),
)
