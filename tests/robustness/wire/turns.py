"""
Exclusive and shared access of clients to a model.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """
    Access to a model: exclusive for a client that creates or deletes it, otherwise shared.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._inside = 0

    @contextmanager
    def shared(self) -> Iterator[None]:
        """
        Hold the access as one of several.
        """
        with self._condition:
            self._inside += 1
        try:
            yield
        finally:
            with self._condition:
                self._inside -= 1
                self._condition.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """
        Wait until nobody is inside, and keep others out.
        """
        with self._condition:
            self._condition.wait_for(lambda: not self._inside)
            yield
