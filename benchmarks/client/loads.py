"""
The loads that clients put on a server.
"""

import threading
import time
from collections.abc import Iterable, Sequence

from benchmarks.client.connection import Call, CallFailed, Connection, Loop, cut
from benchmarks.client.target import Target

_PAUSE_SECONDS = 0.002


def repeat(
    target: Target | int,
    path: str,
    requests: Sequence[Iterable[bytes]],
    times: int,
    clients: int = 1,
    expected_bytes: int | None = None,
) -> float:
    """
    Make a call many times, over a few connections, on each of them one after the other.

    Args:
        target: the server, or its port.
        path: the call.
        requests: what is sent, each time the next of them: messages with their prefixes.
        times: how often, all clients together.
        expected_bytes: how much has to come back each time, prefixes included.

    Returns:
        how many seconds it took.
    """
    bodies, loop = [cut(request) for request in requests], Loop()
    connections = [Connection(loop, target) for _ in range(clients)]
    begun = ended = 0

    def begin(connection: Connection) -> None:
        nonlocal begun
        if begun < times:
            begun += 1
            connection.call(path, bodies[begun % len(bodies)], lambda call: end(connection, call))

    def end(connection: Connection, call: Call) -> None:
        nonlocal ended
        if expected_bytes is not None and call.received_bytes != expected_bytes:
            raise CallFailed(f"{call.received_bytes} bytes came, and not {expected_bytes}")
        ended += 1
        begin(connection)

    started = time.perf_counter()
    for connection in connections:
        begin(connection)
    loop.run_until(lambda: ended == times)
    seconds = time.perf_counter() - started
    for connection in connections:
        connection.close()
    return seconds


class Caller:
    """
    A client that makes a call now and then, over one connection.
    """

    def __init__(self, target: Target | int, path: str, request: bytes) -> None:
        """

        Args:
            target: the server, or its port.
            request: with its prefix.
        """
        self._loop = Loop()
        self._connection = Connection(self._loop, target)
        self._path, self._body = path, cut([request])
        self._ended = 0

    def call(self) -> float:
        """
        Make the call, and give how many seconds it took.
        """
        wanted, started = self._ended + 1, time.perf_counter()
        self._connection.call(self._path, self._body, self._end)
        self._loop.run_until(lambda: self._ended == wanted)
        return time.perf_counter() - started

    def _end(self, _: Call) -> None:
        self._ended += 1

    def close(self) -> None:
        """
        Close the connection.
        """
        self._connection.close()


class Bystander:
    """
    A client in a separate thread that makes a small call again and again, to see how long others make it wait.
    """

    def __init__(self, target: Target | int, path: str, request: bytes) -> None:
        """

        Args:
            target: the server, or its port.
            request: with its prefix.
        """
        self._over = threading.Event()
        self._ready = threading.Event()
        self._seconds: list[float] = []
        self._thread = threading.Thread(target=self._run, args=(target, path, request))
        self._thread.start()
        self._ready.wait()

    def stop(self) -> list[float]:
        """
        Return the seconds of each call.
        """
        self._over.set()
        self._thread.join()
        return self._seconds

    def _run(self, target: Target | int, path: str, request: bytes) -> None:
        caller = Caller(target, path, request)
        for _ in range(20):  # the first one reads the model
            caller.call()
        self._ready.set()
        while not self._over.is_set():
            self._seconds.append(caller.call())
            time.sleep(_PAUSE_SECONDS)  # it is to see how long others wait, not to make them wait
        caller.close()


class Audience:
    """
    Actors, with a connection each, that subscribe to a model and fetch each new version.
    """

    def __init__(
        self, port: int, count: int, subscribe: tuple[str, bytes], fetch: tuple[str, bytes] | None = None
    ) -> None:
        """
        Args:
            subscribe: the call to subscribe with, and its request.
            fetch: the call to fetch with, and its request; ``None`` for actors that only want to know.
        """
        self._loop = Loop()
        self._publisher = Connection(self._loop, port)
        self._actors = [Connection(self._loop, port) for _ in range(count)]
        self._subscription = subscribe[0], cut([subscribe[1]])
        self._request = None if fetch is None else (fetch[0], cut([fetch[1]]))
        self._shown = self._held = 0
        self._fetched_bytes = 0
        self._fetching = False

    def subscribe(self) -> None:
        """
        Subscribe all of them, and wait until each was notified of the existing version.
        """
        path, body = self._subscription
        for actor in self._actors:
            actor.call(path, body, _never, lambda call, actor=actor: self._hear(actor))  # type: ignore[misc]
        self._loop.run_until(lambda: self._shown >= len(self._actors))

    def _hear(self, actor: Connection) -> None:
        self._shown += 1
        if not self._fetching:
            return
        if self._request is None:
            self._held += 1
        else:
            actor.call(*self._request, self._hold)

    def _hold(self, call: Call) -> None:
        self._held += 1
        self._fetched_bytes += call.received_bytes

    def publish(self, path: str, body: Sequence[memoryview], expected_bytes: int) -> float:
        """
        Publish a version, and wait until all hold it.

        Args:
            body: as ``cut`` gave it.
            expected_bytes: how much each of them has to fetch, prefixes included.

        Returns:
            how many seconds it took.
        """
        self._fetching, self._held, self._fetched_bytes = True, 0, 0
        acknowledged = False

        def acknowledge(_: Call) -> None:
            nonlocal acknowledged
            acknowledged = True

        started = time.perf_counter()
        self._publisher.call(path, body, acknowledge)
        self._loop.run_until(lambda: acknowledged and self._held == len(self._actors))
        seconds = time.perf_counter() - started
        if self._fetched_bytes != expected_bytes * len(self._actors):
            raise CallFailed(f"{self._fetched_bytes} bytes came, and not {len(self._actors)} times {expected_bytes}")
        return seconds

    def close(self) -> None:
        """
        Close all connections.
        """
        for connection in (self._publisher, *self._actors):
            connection.close()


def _never(_: Call) -> None:
    raise CallFailed("a subscription ended")
