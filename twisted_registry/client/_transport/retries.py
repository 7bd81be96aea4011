"""
What is tried again, how long, and after what pause.
"""

import asyncio
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from attrs import define
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_random_exponential

from twisted_registry.client._transport.proxies import TOO_MANY_REQUESTS
from twisted_registry.client.errors import (
    ArchiveChanged,
    CertificateRefused,
    DeadlineExceeded,
    Overloaded,
    ProxyUnavailable,
    StorageUnavailable,
    Unavailable,
    Unreachable,
)
from twisted_registry.domain.errors import shown

T = TypeVar("T")

_log = logging.getLogger("twisted_registry.client")
_tries = logging.getLogger("twisted_registry.client.tries")

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0


About = tuple[str, str]
"""The address of a registry, and the id of a model; empty for all of them."""

_LINE_SECONDS = 60.0
_MOST_STREAKS = 1000


@define
class _Streak:
    """
    Failures that follow one another.

    Attributes:
        next_line: when the log may be told again, by the clock.
        began: when the first of them came; ``None`` while all is well.
        is_told: whether the log knows of it.
    """

    next_line: float
    began: float | None = None
    tries: int = 0
    is_told: bool = False
    has_warned: bool = False


class RetryLog:
    """
    Logs what is tried again: a line at once, then one a minute, with which model it is, and a line when it is back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """

        Args:
            clock: tells the time in seconds.
        """
        self._clock = clock
        self._streaks: dict[About, _Streak] = {}

    def failed(self, about: About, error: BaseException | None) -> None:
        """
        Note that something failed, and is tried again.
        """
        _tries.debug("trying again: %s", error)
        now = self._clock()
        streak = self._streak(about, now)
        if streak.began is None:
            streak.began, streak.tries, streak.is_told = now, 0, False
        streak.tries += 1
        is_warning = isinstance(error, ArchiveChanged) and not streak.has_warned
        if now < streak.next_line and not is_warning:
            return
        streak.next_line, streak.is_told = now + _LINE_SECONDS, True
        streak.has_warned = streak.has_warned or is_warning
        since = f", since {now - streak.began:.0f} s" if streak.tries > 1 else ""
        _log.log(logging.WARNING if is_warning else logging.INFO, "%s: trying again%s: %s", _named(about), since, error)

    def succeeded(self, about: About) -> None:
        """
        Note that something was done, or that all is as it should be.
        """
        streak = self._streaks.get(about)
        if streak is None or streak.began is None:
            return
        if streak.is_told:
            _log.info("%s: it is back, after %.0f s", _named(about), self._clock() - streak.began)
        streak.began, streak.has_warned = None, False

    def _streak(self, about: About, now: float) -> _Streak:
        if about not in self._streaks:
            if len(self._streaks) >= _MOST_STREAKS:
                self._streaks.clear()
            self._streaks[about] = _Streak(now)
        return self._streaks[about]


def _named(about: About) -> str:
    address, model_id = about
    return f"model {shown(model_id)} at {address}" if model_id else f"the registry at {address}"


retry_log = RetryLog()


def is_retryable(error: BaseException) -> bool:
    """
    Say whether this passes by itself.
    """
    return isinstance(error, Unavailable | Overloaded | StorageUnavailable) and not isinstance(
        error, CertificateRefused
    )


def is_retryable_forever(error: BaseException) -> bool:
    """
    Say whether this passes by itself for one who waits for as long as it takes: also for an operator to notice that the
    daemon was started with the wrong archive, or that a certificate has expired.
    """
    return is_retryable(error) or isinstance(error, DeadlineExceeded | ArchiveChanged | CertificateRefused)


def retryable_within(retry_seconds: float) -> Callable[[BaseException], bool]:
    """
    Return what says whether an error of a call that can be repeated passes: who waits for as long as it takes waits for
    the right archive too.
    """
    return is_retryable if retry_seconds < math.inf else _passes_at_last


def _passes_at_last(error: BaseException) -> bool:
    return is_retryable(error) or isinstance(error, ArchiveChanged)


def had_no_effect(error: BaseException) -> bool:
    """
    Say whether this passes by itself, and the server has certainly done nothing of what was asked.
    """
    if isinstance(error, ProxyUnavailable):
        return error.http_status == TOO_MANY_REQUESTS
    return isinstance(error, Unreachable | Overloaded | StorageUnavailable)


def is_safe_to_retry(error: BaseException) -> bool:
    """
    Return whether this passes by itself, and what was asked can be asked again although it must not be done twice.
    """
    return is_retryable(error) and had_no_effect(error)


async def retry(
    act: Callable[[], Awaitable[T]],
    retry_seconds: float | None,
    is_worth_it: Callable[[BaseException], bool] = is_retryable,
    about: About = ("", ""),
) -> T:
    """
    Do something until it no longer fails for a reason that passes.  Pauses are random, and grow to 2 s: a thousand
    actors that lost one server do not come back in one moment.

    Args:
        retry_seconds: for how long, from the first failure on; 0 for not at all, ``None`` for ever.
        is_worth_it: whether to try again after an error.
        about: the address of the registry, and the id of the model, for the log; empty for none.

    Returns:
        what the act gives.

    Raises:
        Exception: the last error, where patience is at its end or another try is not worth it.
    """
    try:
        result = await act()  # as nearly always; the machinery costs as much as a fifth of a small call
    except Exception as error:
        if retry_seconds == 0 or not is_worth_it(error):
            raise
        retry_log.failed(about, error)
    else:
        retry_log.succeeded(about)
        return result
    failed = time.monotonic()

    def is_at_its_end(state: RetryCallState) -> bool:
        return retry_seconds is not None and time.monotonic() + state.upcoming_sleep > failed + retry_seconds

    await asyncio.sleep(random.uniform(0, _FIRST_PAUSE_SECONDS))
    retrying = AsyncRetrying(
        retry=retry_if_exception(is_worth_it),
        stop=is_at_its_end,
        wait=wait_random_exponential(multiplier=_FIRST_PAUSE_SECONDS, max=_LONGEST_PAUSE_SECONDS),
        before_sleep=lambda state: retry_log.failed(about, state.outcome.exception() if state.outcome else None),
        reraise=True,
    )
    result = await retrying(act)
    retry_log.succeeded(about)
    return result
