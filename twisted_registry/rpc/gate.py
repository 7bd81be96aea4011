"""
Which calls are let in, and when the last one is out.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from twisted_registry.errors import Unavailable


class Gate:
    """
    Lets calls in while the registry serves, and knows those inside.
    """

    def __init__(self) -> None:
        self._refusal: str | None = "the registry is starting; try again in a moment"
        self._inside: set[asyncio.Task[object]] = set()
        self._cut: set[asyncio.Task[object]] = set()
        self._empty = asyncio.Event()
        self._empty.set()

    @contextmanager
    def call(self) -> Iterator[None]:
        """
        Be inside for the length of a context.

        @raise Unavailable: no calls are taken now.
        """
        if self._refusal is not None:
            raise Unavailable(self._refusal)
        task = asyncio.current_task()
        assert task is not None, "a call runs in a task"
        self._inside.add(task)
        self._empty.clear()
        try:
            yield
        except asyncio.CancelledError:
            if task not in self._cut:
                raise
            raise Unavailable("the registry has stopped; try again when it is back") from None
        finally:
            self._inside.discard(task)
            self._cut.discard(task)
            if not self._inside:
                self._empty.set()

    def open(self) -> None:
        """
        Let calls in.
        """
        self._refusal = None

    def close(self) -> None:
        """
        Let no more calls in.
        """
        self._refusal = "the registry is stopping; try again when it is back"

    async def empty(self, patience_seconds: float | None = None) -> None:
        """
        Wait until the last call is out, or patience is at its end.
        """
        with suppress(TimeoutError):
            await asyncio.wait_for(self._empty.wait(), patience_seconds)

    def cut(self) -> None:
        """
        End the calls that are still inside, as unavailable.
        """
        self._cut.update(self._inside)
        for task in self._inside:
            task.cancel()
