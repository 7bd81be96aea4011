"""
How good a policy is, and how that was measured, so that anyone can measure it again.
"""

from collections.abc import Mapping
from typing import NamedTuple

from cartpole import Policy, play

_TOLERANCE = 0.01
"""Another processor rounds the last digit in another way, and now and then a pole stays up a step longer for it."""


class Score(NamedTuple):
    """
    The mean return of a policy.

    Attributes:
        mean: how many steps the pole stayed up.
        episodes: how many were played.
        seed: of the states they began in.
    """

    mean: float
    episodes: int = 20
    seed: int = 1983

    @classmethod
    def of(cls, policy: Policy) -> "Score":
        """
        Measure it as all versions are measured, so that they can be compared.
        """
        return cls(0.0).again(policy)

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> "Score | None":
        """
        Read it from a version's user data.

        Returns:
            ``None`` where it does not stand there.
        """
        try:
            return cls(float(metadata["score"]), int(metadata["score_episodes"]), int(metadata["score_seed"]))
        except (KeyError, ValueError):
            return None

    def to_metadata(self) -> dict[str, str]:
        """
        Write it down for a version's user data, which are text.
        """
        return {"score": str(self.mean), "score_episodes": str(self.episodes), "score_seed": str(self.seed)}

    def again(self, policy: Policy) -> "Score":
        """
        Measure a policy as this was measured.
        """
        return self._replace(mean=float(play(policy, self.episodes, self.seed).mean()))

    def is_near(self, other: "Score") -> bool:
        """
        Say whether another one is the same, as far as two machines can agree.
        """
        return abs(self.mean - other.mean) <= _TOLERANCE * self.mean
