"""
Which calls are let in, and when the last one is out.
"""

import asyncio
from contextlib import suppress

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

    def call(self) -> "_Inside":
        """
        Be inside for the length of a context.

        @raise Unavailable: no calls are taken now; raised where the context is entered.
        """
        return _Inside(self)

    def enter(self) -> "asyncio.Task[object]":
        """
        Let the current task in.

        @raise Unavailable: no calls are taken now.
        """
        if self._refusal is not None:
            raise Unavailable(self._refusal)
        task = asyncio.current_task()
        assert task is not None, "a call runs in a task"
        self._inside.add(task)
        self._empty.clear()
        return task

    def leave(self, task: "asyncio.Task[object]") -> bool:
        """
        Let a task out.

        @return: whether it was cut.
        """
        cut = task in self._cut
        self._inside.discard(task)
        self._cut.discard(task)
        if not self._inside:
            self._empty.set()
        return cut

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


class _Inside:
    """
    The context of a call.  Each call passes it, so it is no generator: that would cost three times as much.
    """

    __slots__ = ("_gate", "_task")

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def __enter__(self) -> None:
        self._task = self._gate.enter()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        cut = self._gate.leave(self._task)
        if cut and isinstance(error, asyncio.CancelledError):
            raise Unavailable("the registry has stopped; try again when it is back") from None
