"""
The score of a policy, with everything that is needed to measure it again.
"""

from collections.abc import Mapping
from typing import NamedTuple

from cartpole import Policy, play

METRIC = "score"
"""The metric of a version in which its mean return is stored, to find the best one."""

_TOLERANCE = 0.01
"""Processors round differently, so now and then a pole stays up a step longer."""


class Score(NamedTuple):
    """
    The mean return of a policy.

    Attributes:
        mean: the mean number of steps until the pole fell.
        episodes: the number of episodes.
        seed: the seed of their initial states.
    """

    mean: float
    episodes: int = 20
    seed: int = 1983

    @classmethod
    def of(cls, policy: Policy) -> "Score":
        """
        Measure a policy with the standard episodes, so that scores can be compared.
        """
        return cls(0.0).again(policy)

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> "Score | None":
        """
        Read the score from the metadata of a version.

        Returns:
            ``None`` if there is none.
        """
        try:
            return cls(float(metadata["score"]), int(metadata["score_episodes"]), int(metadata["score_seed"]))
        except (KeyError, ValueError):
            return None

    def to_metadata(self) -> dict[str, str]:
        """
        Return the score as metadata, which is text.
        """
        return {"score": str(self.mean), "score_episodes": str(self.episodes), "score_seed": str(self.seed)}

    def again(self, policy: Policy) -> "Score":
        """
        Measure a policy with the episodes of this score.
        """
        return self._replace(mean=float(play(policy, self.episodes, self.seed).mean()))

    def is_near(self, other: "Score") -> bool:
        """
        Return whether another score is equal, within the differences between machines.
        """
        return abs(self.mean - other.mean) <= _TOLERANCE * self.mean
