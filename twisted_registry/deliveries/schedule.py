"""
The schedule of attempts, and the results of an attempt.
"""

from collections.abc import Callable

from attrs import frozen

_MINUTE, _HOUR = 60.0, 3600.0

DELAYS_SECONDS = (
    5.0,
    5 * _MINUTE,
    30 * _MINUTE,
    2 * _HOUR,
    5 * _HOUR,
    10 * _HOUR,
    14 * _HOUR,
    20 * _HOUR,
    24 * _HOUR,
)
"""The times between the attempts to deliver one event, as Standard Webhooks recommends them: three days in all."""

_JITTER = 0.2
_PAUSE_SECONDS = 1.0
_PAUSE_MAX_SECONDS = 60.0
RETRY_AFTER_MAX_SECONDS = _HOUR
"""The longest time that a receiver can ask for."""


@frozen
class Outcome:
    """
    The result of an attempt.

    Attributes:
        problem: why it failed; empty if the event was delivered.
        retry_after_seconds: when the receiver wants the next attempt; ``None`` if it did not say.
        is_gone: whether the receiver wants no more events.
    """

    problem: str = ""
    retry_after_seconds: float | None = None
    is_gone: bool = False


DELIVERED = Outcome()


def retry_seconds(attempts: int, random: Callable[[], float]) -> float | None:
    """
    Return in how many seconds an event is tried again; ``None`` if it is given up.

    Args:
        attempts: how often it was tried.
        random: returns a number from 0 to 1.
    """
    if attempts > len(DELAYS_SECONDS):
        return None
    return _with_jitter(DELAYS_SECONDS[attempts - 1], random)


def pause_seconds(failures: int, random: Callable[[], float]) -> float:
    """
    Return for how many seconds a destination is left alone, whatever waits for it.

    Args:
        failures: how many attempts have failed since the last one that succeeded.
        random: returns a number from 0 to 1.
    """
    return _with_jitter(min(_PAUSE_SECONDS * 2.0 ** min(failures - 1, 10), _PAUSE_MAX_SECONDS), random)


def _with_jitter(seconds: float, random: Callable[[], float]) -> float:
    return seconds * (1 - _JITTER + 2 * _JITTER * random())
