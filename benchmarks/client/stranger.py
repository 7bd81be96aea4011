"""
A stranger that floods a server with wrong tokens, in a separate process: ``python -m benchmarks.client.stranger``.

It makes calls of frames as fast as it can, and connects again whenever it is disconnected.
"""

import argparse
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from benchmarks.client import frames
from benchmarks.client.frames import Kind

_READ_BYTES = 65_536
_TIMEOUT_SECONDS = 30.0
_ROOT = Path(__file__).parents[2]
_DOCUMENTATION_ADDRESS = "192.0.2.1"


def address_of_this_machine() -> str | None:
    """
    Return an address at which other machines would find this one; ``None`` if it has none.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((_DOCUMENTATION_ADDRESS, 9))  # which sends nothing
        except OSError:
            return None
        address: str = probe.getsockname()[0]
    return None if address.startswith("127.") else address


class _Connection:
    """
    One connection of the stranger.
    """

    def __init__(self, host: str, port: int, path: str, window: int, *, tls: bool) -> None:
        self._wire: socket.socket = socket.create_connection((host, port), _TIMEOUT_SECONDS)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.set_alpn_protocols(["h2"])
            self._wire = context.wrap_socket(self._wire)
        self._wire.sendall(frames.greeting())
        self._path, self._window = path, window
        self._stream, self._under_way = 1, 0
        self._received = bytearray()

    def close(self) -> None:
        self._wire.close()

    def send(self) -> int:
        """
        Make calls until as many as the window allows are under way, and return how many were made.
        """
        count = self._window - self._under_way
        calls = b"".join(self._call(self._stream + 2 * number) for number in range(count))
        self._stream += 2 * count
        self._under_way += count
        self._wire.sendall(calls)
        return count

    def _call(self, stream: int) -> bytes:
        token = f"trg_{os.urandom(5).hex()}_{os.urandom(24).hex()}"
        headers = frames.request_headers(self._path, [("authorization", f"Bearer {token}".encode())])
        return frames.frame(Kind.HEADERS, frames.END_HEADERS | frames.END_STREAM, stream, headers)

    def receive(self) -> int:
        """
        Receive what comes, and return how many calls ended with it.

        Raises:
            ConnectionError: the server has closed the connection.
        """
        data = self._wire.recv(_READ_BYTES)
        if not data:
            raise ConnectionError("closed")
        self._received += data
        ended, start = 0, 0
        while len(self._received) - start >= frames.HEADER_BYTES:
            length, kind, flags, _ = frames.parsed_header(self._received[start : start + frames.HEADER_BYTES])
            end = start + frames.HEADER_BYTES + length
            if len(self._received) < end:
                break
            ended += self._take(kind, flags, bytes(self._received[start + frames.HEADER_BYTES : end]))
            start = end
        del self._received[:start]
        self._under_way -= ended
        return ended

    def _take(self, kind: int, flags: int, payload: bytes) -> bool:
        if kind in (Kind.SETTINGS, Kind.PING) and not flags & frames.ACK:
            self._wire.sendall(frames.frame(kind, frames.ACK, 0, payload if kind == Kind.PING else b""))
        return kind == Kind.RST_STREAM or (kind == Kind.HEADERS and bool(flags & frames.END_STREAM))


def flood(host: str, port: int, path: str, calls: int, window: int, *, tls: bool) -> Counter[str]:
    """
    Make calls with wrong tokens, and return how many were ``sent``, how many were ``answered``, and how many
    ``connections`` it took.
    """
    counts: Counter[str] = Counter()
    while counts["sent"] < calls:
        with suppress(OSError):
            connection = _Connection(host, port, path, window, tls=tls)
            counts["connections"] += 1
            try:
                while counts["sent"] < calls:
                    counts["sent"] += connection.send()
                    counts["answered"] += connection.receive()
            finally:
                connection.close()
    return counts


class Stranger:
    """
    The process that floods a server, for the length of a context.

    Attributes:
        counts: see ``flood``; empty before it has ended by itself.
    """

    def __init__(self, host: str, port: int, path: str, window: int, calls: int = 10**9, *, tls: bool = True) -> None:
        words = [host, str(port), path, "--window", str(window), "--calls", str(calls), *(["--tls"] if tls else [])]
        self._command = [sys.executable, "-m", "benchmarks.client.stranger", *words]
        self.counts: dict[str, float] = {}

    def __enter__(self) -> "Stranger":
        self._process = subprocess.Popen(self._command, cwd=_ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._process.stdout.readline()  # it has begun
        return self

    def wait(self) -> None:
        """
        Wait until all calls are made.
        """
        printed, _ = self._process.communicate()
        self.counts = json.loads(printed)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.counts:
            self._process.send_signal(signal.SIGTERM)
            self._process.communicate()


def main(words: Sequence[str] | None = None) -> None:
    """
    Flood a server, and print the counts as JSON.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("path")
    parser.add_argument("--window", type=int, default=50)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--tls", action="store_true")
    given = parser.parse_args(words)
    print("begun", flush=True)
    counts: dict[str, float] = dict(flood(given.host, given.port, given.path, given.calls, given.window, tls=given.tls))
    print(json.dumps({**counts, "cpu_seconds": time.process_time()}))


if __name__ == "__main__":
    main()
