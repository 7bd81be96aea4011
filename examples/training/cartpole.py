"""
A task, and a policy for it, in nothing but NumPy: a pole stands on a cart, and the cart is pushed so that it stays up.

The cart is that of Barto, Sutton and Anderson (1983).  A policy is a network of one hidden layer; evolution strategies
train it.  Many carts roll side by side, for that is what NumPy is fast at.
"""

from io import BytesIO
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

MOST_STEPS = 500
"""How long an episode lasts at most; each step on which the pole is up counts 1."""

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
    These bytes hold no policy.
    """


class Policy:
    """
    Says how hard to push.

    Attributes:
        weights: all weights of the network in one row.
    """

    def __init__(self, weights: Floats) -> None:
        if weights.shape != (_SIZE,) or not np.isfinite(weights).all():
            raise NotAPolicy(f"a policy has {_SIZE} finite weights")
        self.weights = weights

    def to_bytes(self) -> bytes:
        """
        Give it as NumPy's own ``.npz``.  The same policy gives the same bytes.
        """
        file = BytesIO()
        np.savez(file, weights=self.weights)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Policy":
        """
        Read what ``to_bytes`` has given.

        Raises:
            NotAPolicy: it has not.
        """
        try:
            # Never pickles: whoever unpickles bytes runs whatever their author likes.
            with np.load(BytesIO(data), allow_pickle=False) as arrays:
                weights = arrays["weights"]
        except (ValueError, KeyError, EOFError, OSError, TypeError, BadZipFile) as error:
            raise NotAPolicy(f"it is no .npz file with weights ({error})") from None
        if weights.dtype != np.float64:
            raise NotAPolicy(f"its weights are {weights.dtype}, not float64")
        return cls(weights)


def play(policy: Policy, episodes: int, seed: int) -> Floats:
    """
    Play episodes side by side.

    Args:
        seed: of the states they begin in.

    Returns:
        how many steps the pole stayed up in each.
    """
    weights = np.broadcast_to(policy.weights, (episodes, _SIZE))
    return _steps_up(weights, np.random.default_rng(seed))


class Evolution:
    """
    Trains a policy by evolution strategies: neighbours of it play, and it moves towards those that are good at it.  The
    same seed trains the same policies.

    Attributes:
        generation: how far it is trained.
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
        The policy as far as it is trained.
        """
        return Policy(self._weights)

    def advance(self) -> None:
        """
        Go on by a generation.
        """
        half = self._random.normal(0.0, 1.0, (self._pairs, _SIZE))
        directions = np.concatenate((half, -half))
        returns = _steps_up(self._weights + self._radius * directions, self._random)
        # Ranks and not returns, so that one lucky neighbour does not decide it all.
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
        # What has fallen stays where it is, lest it should run away to infinity.
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
    Give the state a step later: place, speed, angle and its speed.
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
