"""
A task and a policy for it, in pure NumPy: the policy pushes a cart so that the pole on it stays upright.

The cart is that of Barto, Sutton and Anderson (1983).  A policy is a network of one hidden layer; evolution strategies
train it.  Many carts are simulated in parallel, which is fast in NumPy.
"""

from io import BytesIO
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

MOST_STEPS = 500
"""The longest episode, in steps; each step with the pole upright counts 1."""

_HIDDEN = 8
_OBSERVED = 4
_SIZE = (_OBSERVED + 1) * _HIDDEN + _HIDDEN + 1

_GRAVITY = 9.8
_CART_KG = 1.0
_POLE_KG = 0.1
_TOTAL_KG = _CART_KG + _POLE_KG
_HALF_POLE_M = 0.5
_STRONGEST_PUSH_N = 10.0
_STEP_SECONDS = 0.02
_FARTHEST_M = 2.4
_STEEPEST_RADIANS = 12 * np.pi / 180


class NotAPolicy(ValueError):
    """
    The error for bytes that are not a policy.
    """


class Policy:
    """
    A network that decides how hard to push.

    Attributes:
        weights: all weights of the network, in one row.
    """

    def __init__(self, weights: Floats) -> None:
        if weights.shape != (_SIZE,) or not np.isfinite(weights).all():
            raise NotAPolicy(f"a policy has {_SIZE} finite weights")
        self.weights = weights

    def to_bytes(self) -> bytes:
        """
        Return the policy as an ``.npz`` file of NumPy.  Equal policies give equal bytes.
        """
        file = BytesIO()
        np.savez(file, weights=self.weights)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Policy":
        """
        Parse the bytes of ``to_bytes``.

        Raises:
            NotAPolicy: these are other bytes.
        """
        try:
            # Never unpickle: that would run any code that the author of the bytes likes.
            with np.load(BytesIO(data), allow_pickle=False) as arrays:
                weights = arrays["weights"]
        except (ValueError, KeyError, EOFError, OSError, TypeError, BadZipFile) as error:
            raise NotAPolicy(f"it is not an .npz file with weights ({error})") from None
        if weights.dtype != np.float64:
            raise NotAPolicy(f"its weights are {weights.dtype}, not float64")
        return cls(weights)


def play(policy: Policy, episodes: int, seed: int) -> Floats:
    """
    Play episodes in parallel.

    Args:
        seed: the seed of their initial states.

    Returns:
        the number of steps until the pole fell, for each episode.
    """
    weights = np.broadcast_to(policy.weights, (episodes, _SIZE))
    return _steps_up(weights, np.random.default_rng(seed))


class Evolution:
    """
    The training of a policy by evolution strategies: its neighbors play, and it moves towards the good ones.  The same
    seed trains the same policies.

    Attributes:
        generation: the number of generations so far.
    """

    def __init__(self, seed: int, pairs: int = 24, radius: float = 0.3, pace: float = 0.4) -> None:
        self._random = np.random.default_rng(seed)
        self._pairs = pairs
        self._radius = radius
        self._pace = pace
        self._weights = self._random.normal(0.0, 0.1, _SIZE)
        self.generation = 0

    @property
    def policy(self) -> Policy:
        """
        The current policy.
        """
        return Policy(self._weights)

    def advance(self) -> None:
        """
        Train one generation.
        """
        half = self._random.normal(0.0, 1.0, (self._pairs, _SIZE))
        directions = np.concatenate((half, -half))
        returns = _steps_up(self._weights + self._radius * directions, self._random)
        # Ranks rather than returns, so that one lucky neighbor does not dominate.
        ranks = returns.argsort(kind="stable").argsort(kind="stable") / (len(returns) - 1) - 0.5
        self._weights = self._weights + self._pace * (ranks @ directions) / self._radius / len(returns)
        self.generation += 1


def _steps_up(weights: Floats, random: np.random.Generator) -> Floats:
    """
    Play an episode with each row of weights.
    """
    state = random.uniform(-0.05, 0.05, (_OBSERVED, len(weights)))
    up = np.ones(len(weights), dtype=bool)
    steps = np.zeros(len(weights))
    for _ in range(MOST_STEPS):
        state = _moved(state, _push(weights, state))
        up &= (np.abs(state[0]) < _FARTHEST_M) & (np.abs(state[2]) < _STEEPEST_RADIANS)
        if not up.any():
            break
        steps += up
        # A fallen pole stops, so that its state does not grow without bound.
        state = np.where(up, state, 0.0)
    return steps


def _push(weights: Floats, state: Floats) -> Floats:
    split = np.split(weights, [_OBSERVED * _HIDDEN, (_OBSERVED + 1) * _HIDDEN, _SIZE - 1], axis=1)
    inward, inward_bias, outward, outward_bias = split
    hidden = np.tanh(np.einsum("noh,on->nh", inward.reshape(-1, _OBSERVED, _HIDDEN), state) + inward_bias)
    push: Floats = _STRONGEST_PUSH_N * np.tanh((hidden * outward).sum(axis=1) + outward_bias[:, 0])
    return push


def _moved(state: Floats, push: Floats) -> Floats:
    """
    Return the state one step later: position, speed, angle and angular speed.
    """
    _place, speed, angle, turning = state
    sine, cosine = np.sin(angle), np.cos(angle)
    drive = (push + _POLE_KG * _HALF_POLE_M * turning**2 * sine) / _TOTAL_KG
    inertia = _HALF_POLE_M * (4.0 / 3.0 - _POLE_KG * cosine**2 / _TOTAL_KG)
    turn = (_GRAVITY * sine - cosine * drive) / inertia
    pull = drive - _POLE_KG * _HALF_POLE_M * turn * cosine / _TOTAL_KG
    change = np.stack((speed, pull, turning, turn))
    moved: Floats = state + _STEP_SECONDS * change
    return moved
