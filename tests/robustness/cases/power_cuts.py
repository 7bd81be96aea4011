"""
The power fails at a random call, and what is left is as bad as it may be (``tests.robustness.disk.lossy_disk``).
"""

from tests.robustness.case import Case
from tests.robustness.disk.archive_story import run_stories

CASE = Case(
    name="power-cuts",
    counts="simulated power cuts",
    promise="What was acknowledged outlives any power cut, whole; what was not is whole or absent.",
    short=300,
    long=20_000,
    run=lambda trial: run_stories(trial, lambda chance: None),
)
