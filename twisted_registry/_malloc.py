"""
How the C library keeps memory that was freed.

glibc gives threads arenas of their own, up to eight for each processor, and what is freed in one is of no use to the
others: chunks of megabytes, which come and go in several threads, leave hundreds of megabytes lying about.  Python's
threads take turns anyway, so that one arena for all of them costs no time.  (C{M_ARENA_MAX}:
U{https://man7.org/linux/man-pages/man3/mallopt.3.html}.)
"""

import ctypes

_M_ARENA_MAX = -8


def use_one_arena() -> bool:
    """
    Have all threads share one arena.  To be called before there are any.

    @return: whether the C library has such a thing.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return bool(mallopt(_M_ARENA_MAX, 1))
