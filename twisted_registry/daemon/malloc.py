"""
How the C library keeps memory that was freed.

glibc gives threads arenas of their own, up to eight for each processor, and what is freed in one is of no use to the
others: chunks of megabytes, which come and go in several threads, leave hundreds of megabytes lying about.  Python's
threads take turns anyway, so that one arena for all of them costs no time.

Large blocks it takes from the system one by one, and gives back at once.  Then each page of each message is cleared by
the system before it is written, which takes longer than writing it: what one version leaves is kept for the next.

(``M_ARENA_MAX``, ``M_MMAP_THRESHOLD``, ``M_TRIM_THRESHOLD``: https://man7.org/linux/man-pages/man3/mallopt.3.html.)
"""

import ctypes

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8

_OWN_BLOCK_BYTES = 32 * 1024 * 1024
"""The most that glibc allows for."""

KEPT_BYTES = 32 * 1024 * 1024
"""Most freed memory that is kept at the end of the heap; what is freed between blocks in use is kept in any case."""


def reuse_memory() -> bool:
    """
    Have all threads share one arena, and keep what is freed.  To be called before there are any threads.

    Returns:
        whether the C library has such a thing.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    options = {_M_ARENA_MAX: 1, _M_MMAP_THRESHOLD: _OWN_BLOCK_BYTES, _M_TRIM_THRESHOLD: KEPT_BYTES}
    taken = [mallopt(option, value) for option, value in options.items()]
    return all(taken)


def give_back() -> None:
    """
    Give freed memory back to the system, wherever in the heap it lies.  While it does, no thread gets memory.

    (``malloc_trim``: https://man7.org/linux/man-pages/man3/malloc_trim.3.html.)
    """
    try:
        malloc_trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):
        return
    malloc_trim(0)
