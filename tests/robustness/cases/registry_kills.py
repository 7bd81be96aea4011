"""
A registry with several acts on versions and aliases under way at once, killed at any call to the system.
"""

import random
from collections import Counter

from tests.robustness.case import Case, Outcome, Trial
from tests.robustness.cases.faults import Faults
from tests.robustness.disk.registry_story import RegistryStory
from tests.robustness.disk.scratch import memory_folder
from tests.robustness.oracles.counts import counts_of

_KILLS_A_STORY = 20
_FAULTS = (None, None, 0.005, 0.01, 0.02)
"""How often a call fails, in some of the stories."""


def run(trial: Trial) -> Outcome:
    """
    Kill it again and again.
    """
    done = cuts = refused = number = 0
    acts: Counter[str] = Counter()
    wrong: list[str] = []
    with memory_folder(trial.directory) as directory:
        while not trial.is_over(done):
            number += 1
            chance = random.Random(f"{trial.seed} {number}")
            often = chance.choice(_FAULTS)
            disturbance = None if often is None else Faults(chance, often)
            story = RegistryStory(chance, directory / str(number), disturbance)
            story.tell(min(_KILLS_A_STORY, trial.count - done))
            done, cuts, refused = done + story.kills, cuts + story.cuts, refused + story.refused
            acts += story.promises.acts
            wrong += [f"story {number}: {line}" for line in story.promises.wrong]
            trial.progress(done)
    figures = {
        "power cuts": cuts,
        "archives": number,
        **counts_of(acts),
        "created versions": acts["CreateVersion"],
        "refused acts": refused,
    }
    return Outcome(done, wrong, figures)


CASE = Case(
    name="registry-kills",
    counts="kills of a registry with three acts under way",
    promise="No alias is lost, doubled, or names what is not archived; no deleted version is back.",
    short=100,
    long=1_000,
    run=run,
)
