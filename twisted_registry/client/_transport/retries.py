"""
Retries: which errors are worth another try, for how long, and the pauses between tries.
"""

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from twisted_registry.client._transport.retry_log import Subject, retry_log
from twisted_registry.client.errors import (
    ArchiveChanged,
    CertificateRefused,
    DeadlineExceeded,
    Overloaded,
    ProxyUnavailable,
    QuotaExceeded,
    SignInsThrottled,
    StorageUnavailable,
    TlsFailed,
    Unavailable,
    Unreachable,
)

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0

TOO_MANY_REQUESTS = 429


def is_retryable(error: BaseException) -> bool:
    """
    Return whether an error usually goes away by itself.
    """
    if isinstance(error, QuotaExceeded):
        return error.retry_after_seconds > 0
    return isinstance(error, Unavailable | Overloaded | StorageUnavailable) and not isinstance(
        error, CertificateRefused | TlsFailed
    )


def is_retryable_forever(error: BaseException) -> bool:
    """
    Return whether a caller that waits as long as it takes retries after an error: it also waits until an operator has
    corrected the daemon's archive, or renewed a certificate.
    """
    return is_retryable(error) or isinstance(error, DeadlineExceeded | ArchiveChanged | CertificateRefused)


def retryable_within(retry_seconds: float) -> Callable[[BaseException], bool]:
    """
    Return the predicate for errors of a repeatable call that is retried for some time.
    """
    return is_retryable if retry_seconds < math.inf else _is_retryable_without_limit


def _is_retryable_without_limit(error: BaseException) -> bool:
    return is_retryable(error) or isinstance(error, ArchiveChanged)


def had_no_effect(error: BaseException) -> bool:
    """
    Return whether an error proves that the server did not carry out the call.
    """
    if isinstance(error, ProxyUnavailable):
        return error.http_status == TOO_MANY_REQUESTS
    return isinstance(error, Unreachable | Overloaded | QuotaExceeded | SignInsThrottled | StorageUnavailable)


def is_safe_to_retry(error: BaseException) -> bool:
    """
    Return whether a call that must not be carried out twice can be retried.
    """
    return is_retryable(error) and had_no_effect(error)


async def retry(
    act: Callable[[], Awaitable[T]],
    retry_seconds: float | None,
    is_worth_it: Callable[[BaseException], bool] = is_retryable,
    subject: Subject = ("", ""),
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> T:
    """
    Repeat an action until it succeeds or fails for good.  The pauses are random and grow to 2 s, so that a thousand
    actors that lost one server do not return to it all at once.  After a refusal by a quota, a pause is at least as
    long as the server asks for.

    Args:
        act: the action.
        retry_seconds: for how long, from the first failure on; 0 for a single try, ``None`` for no limit.
        is_worth_it: returns whether to try again after an error.
        subject: the address of the registry and the id of the model, for the log.
        sleep: waits for so many seconds.

    Returns:
        The result of the action.

    Raises:
        Exception: the last error, if the time is over or another try is not worth it.
    """
    try:
        result = await act()  # nearly always enough; tenacity costs a fifth of a small call
    except Exception as error:
        pause_seconds = pause_after(error, random.uniform(0, _FIRST_PAUSE_SECONDS))
        if retry_seconds == 0 or not is_worth_it(error) or pause_seconds > (retry_seconds or math.inf):
            raise
        retry_log.failed(subject, error, retry_seconds)
    else:
        retry_log.succeeded(subject)
        return result
    failed = time.monotonic()
    await sleep(pause_seconds)
    return await _retry(act, retry_seconds, is_worth_it, subject, failed, sleep)


def pause_after(error: BaseException | None, pause_seconds: float) -> float:
    """
    Return how long to wait after an error: a pause, after the time for which the server asks.
    """
    return pause_seconds + (error.retry_after_seconds if isinstance(error, QuotaExceeded | SignInsThrottled) else 0.0)


async def _retry(
    act: Callable[[], Awaitable[T]],
    retry_seconds: float | None,
    is_worth_it: Callable[[BaseException], bool],
    subject: Subject,
    failed: float,
    sleep: Callable[[float], Awaitable[None]],
) -> T:
    from tenacity import AsyncRetrying, retry_if_exception, wait_random_exponential

    growing = wait_random_exponential(multiplier=_FIRST_PAUSE_SECONDS, max=_LONGEST_PAUSE_SECONDS)

    def error(state: "RetryCallState") -> BaseException | None:
        return state.outcome.exception() if state.outcome else None

    def is_time_over(state: "RetryCallState") -> bool:
        return retry_seconds is not None and time.monotonic() + state.upcoming_sleep > failed + retry_seconds

    retrying = AsyncRetrying(
        retry=retry_if_exception(is_worth_it),
        stop=is_time_over,
        wait=lambda state: pause_after(error(state), growing(state)),
        sleep=sleep,
        before_sleep=lambda state: retry_log.failed(subject, error(state), retry_seconds),
        reraise=True,
    )
    result: T = await retrying(act)
    retry_log.succeeded(subject)
    return result
