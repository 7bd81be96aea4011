"""
Tuning of the C library's allocator.

glibc has separate arenas for threads, up to eight for each processor, and one arena cannot use memory that was freed in
another.  Chunks of megabytes, allocated and freed in several threads, leave hundreds of megabytes unused.  Python's
threads take turns anyway, so one arena for all of them costs no time.

By default large blocks are mapped and unmapped one by one.  The system then clears each page of each message before it
is written, which takes longer than writing it.  So the memory of one version is kept for the next.

(``M_ARENA_MAX``, ``M_MMAP_THRESHOLD``, ``M_TRIM_THRESHOLD``: https://man7.org/linux/man-pages/man3/mallopt.3.html.)
"""

import ctypes

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8

_MMAP_THRESHOLD_BYTES = 32 * 1024 * 1024
"""The maximum of glibc."""

KEPT_BYTES = 32 * 1024 * 1024
"""Freed memory that is kept at the end of the heap; memory freed between blocks in use is always kept."""


def reuse_memory() -> bool:
    """
    Make all threads share one arena, and keep freed memory.  Call it before any thread is started.

    Returns:
        whether the C library supports it.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    options = {_M_ARENA_MAX: 1, _M_MMAP_THRESHOLD: _MMAP_THRESHOLD_BYTES, _M_TRIM_THRESHOLD: KEPT_BYTES}
    accepted = [mallopt(option, value) for option, value in options.items()]
    return all(accepted)


def trim_heap() -> None:
    """
    Return freed memory anywhere in the heap to the system.  Meanwhile no thread can allocate.

    (``malloc_trim``: https://man7.org/linux/man-pages/man3/malloc_trim.3.html.)
    """
    try:
        malloc_trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):
        return
    malloc_trim(0)
