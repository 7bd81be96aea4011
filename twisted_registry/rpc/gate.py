"""
Which calls are let in, and when the last one is out.
"""

import asyncio
from contextlib import suppress

from twisted_registry.domain.errors import Unavailable

_START_SECONDS = 30.0
"""How long a call waits for the start; a script that is started beside the daemon would try again anyway."""

_WAITING_MAX = 1_000


class Gate:
    """
    Lets calls in while the registry serves, and knows those inside.
    """

    def __init__(self) -> None:
        self._refusal: str | None = "the registry is starting; try again in a moment"
        self._decided = asyncio.Event()
        self._waiting = 0
        self._inside: set[asyncio.Task[object]] = set()
        self._cut: set[asyncio.Task[object]] = set()
        self._empty = asyncio.Event()
        self._empty.set()

    def call(self) -> "_Inside":
        """
        Be inside for the length of a context.

        Raises:
            Unavailable: no calls are taken now; raised where the context is entered.
        """
        return _Inside(self)

    @property
    def is_starting(self) -> bool:
        """
        Whether calls have to wait for the start.
        """
        return not self._decided.is_set()

    async def started(self, most_seconds: float = _START_SECONDS) -> None:
        """
        Wait while the registry starts: until calls are let in, or will not be.

        Raises:
            Unavailable: it takes too long, or too many wait.
        """
        if self._waiting >= _WAITING_MAX:
            raise Unavailable("the registry is starting, and too many calls wait for it; try again in a moment")
        self._waiting += 1
        try:
            await asyncio.wait_for(self._decided.wait(), most_seconds)
        except TimeoutError:
            raise Unavailable("the registry is still starting; try again later") from None
        finally:
            self._waiting -= 1

    def enter(self) -> "asyncio.Task[object]":
        """
        Let the current task in.

        Raises:
            Unavailable: no calls are taken now.
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

        Returns:
            whether it was cut.
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
        self._decided.set()

    def close(self) -> None:
        """
        Let no more calls in.
        """
        self._refusal = "the registry is stopping; try again when it is back"
        self._decided.set()

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
