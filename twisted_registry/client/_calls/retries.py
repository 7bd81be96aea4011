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

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_random_exponential

from twisted_registry.client._calls.proxies import TOO_MANY_REQUESTS
from twisted_registry.errors import (
    ArchiveChanged,
    CertificateRefused,
    DeadlineExceeded,
    Overloaded,
    ProxyUnavailable,
    StorageUnavailable,
    Unavailable,
    Unreachable,
)

T = TypeVar("T")

_log = logging.getLogger("twisted_registry.client")

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0


def passes(error: BaseException) -> bool:
    """
    Say whether this passes by itself.
    """
    return isinstance(error, Unavailable | Overloaded | StorageUnavailable) and not isinstance(
        error, CertificateRefused
    )


def outlasts(error: BaseException) -> bool:
    """
    Say whether this passes by itself for one who waits for as long as it takes: also for an operator to notice that the
    daemon was started with the wrong archive.
    """
    return passes(error) or isinstance(error, DeadlineExceeded | ArchiveChanged)


def passes_within(patience_seconds: float) -> Callable[[BaseException], bool]:
    """
    Return what says whether an error of a call that can be repeated passes: who waits for as long as it takes waits for
    the right archive too.
    """
    return passes if patience_seconds < math.inf else _passes_at_last


def _passes_at_last(error: BaseException) -> bool:
    return passes(error) or isinstance(error, ArchiveChanged)


def was_not_done(error: BaseException) -> bool:
    """
    Say whether this passes by itself, and the server has certainly done nothing of what was asked.
    """
    if isinstance(error, ProxyUnavailable):
        return error.http_status == TOO_MANY_REQUESTS
    return isinstance(error, Unreachable | Overloaded | StorageUnavailable)


def passes_undone(error: BaseException) -> bool:
    """
    Return whether this passes by itself, and what was asked can be asked again although it must not be done twice.
    """
    return passes(error) and was_not_done(error)


async def repeated(
    act: Callable[[], Awaitable[T]],
    patience_seconds: float | None,
    is_worth_it: Callable[[BaseException], bool] = passes,
) -> T:
    """
    Do something until it no longer fails for a reason that passes.  Pauses are random, and grow to 2 s: a thousand
    actors that lost one server do not come back in one moment.

    @param patience_seconds: for how long, from the first failure on; 0 for not at all, C{None} for ever.
    @param is_worth_it: whether to try again after an error.

    @return: what the act gives.

    @raise Exception: the last error, where patience is at its end or another try is not worth it.
    """
    told = _Told()
    try:
        return await act()  # as nearly always; the machinery costs as much as a fifth of a small call
    except Exception as error:
        if patience_seconds == 0 or not is_worth_it(error):
            raise
        told.tell(error)
    failed = time.monotonic()

    def is_at_its_end(state: RetryCallState) -> bool:
        return patience_seconds is not None and time.monotonic() + state.upcoming_sleep > failed + patience_seconds

    await asyncio.sleep(random.uniform(0, _FIRST_PAUSE_SECONDS))
    retrying = AsyncRetrying(
        retry=retry_if_exception(is_worth_it),
        stop=is_at_its_end,
        wait=wait_random_exponential(multiplier=_FIRST_PAUSE_SECONDS, max=_LONGEST_PAUSE_SECONDS),
        before_sleep=told.tell_outcome,
        reraise=True,
    )
    return await retrying(act)


class _Told:
    """
    What the log is told of one wait: of another archive a warning, once, for somebody has to do something.
    """

    has_warned = False

    def tell(self, error: BaseException | None) -> None:
        """
        Say why it is tried again.
        """
        level = logging.INFO
        if isinstance(error, ArchiveChanged) and not self.has_warned:
            level, self.has_warned = logging.WARNING, True
        _log.log(level, "trying again: %s", error)

    def tell_outcome(self, state: RetryCallState) -> None:
        """
        Say why what tenacity has tried is tried again.
        """
        if state.outcome is not None:
            self.tell(state.outcome.exception())
