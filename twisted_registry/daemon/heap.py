"""
The long-lived objects of the process, and the garbage collector.

Python's collector stops all threads while it looks at every object.  An index of 100,000 versions has half a million of
them: without this, calls that are answered from memory would wait for that time, again and again while it is made.
"""

import gc
import time
from functools import partial

from twisted_registry.registry import Heap

_YOUNG = 1


def settle() -> None:
    """
    Take all objects out of the collector's sight, after it has removed the young ones that are garbage.  Objects are
    freed as before when nothing refers to them.
    """
    gc.collect(_YOUNG)
    gc.freeze()


SETTLING = Heap(settle, gc.unfreeze, partial(time.sleep, 0.0003))
