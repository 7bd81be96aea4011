"""
Pipes that nobody reads.
"""

import os
from contextlib import suppress


def fill_pipe(descriptor: int) -> None:
    """
    Fill a pipe until nothing more goes into it.
    """
    os.set_blocking(descriptor, False)
    with suppress(BlockingIOError):
        while os.write(descriptor, bytes(4096)):
            pass
    os.set_blocking(descriptor, True)
