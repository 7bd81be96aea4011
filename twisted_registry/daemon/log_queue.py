"""
The way of the log's lines to a file: nobody who logs waits until somebody reads.
"""

import os
import select
import stat
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import accumulate, count

from twisted.logger import Logger

_log = Logger(namespace="twisted_registry")

MAX_LINES = 4096
DRAIN_SECONDS = 2.0
"""How long the end of the process waits for lines that are not written yet."""

_ROTATED_BYTES = 1_000_000
"""Where a log file is begun anew, as twistd does it."""

_NEW_MODE = 0o644
"""Others may read a log, as far as the umask allows; only its owner writes to it, whatever the umask."""

_WRITTEN_AT_ONCE = 64 * 1024
"""
Bytes of lines that are written in one call.  Each call hands the interpreter's lock to whoever logs, and gets it back
only after a while: written line by line, two thirds of a burst of 30,000 lines were lost.
"""

_TOO_SLOW = "the log is not written as fast as it grows"


class Stream:
    """
    An open descriptor, such as that of stdout, of whatever kind: it may block, and it may be set not to block.

    Attributes:
        written_bytes: how much of what was to be written last was.
    """

    def __init__(self, descriptor: int, write: Callable[[int, memoryview], int] = os.write) -> None:
        self._descriptor = descriptor
        self._system_write = write
        self._torn = False
        self.written_bytes = 0

    def ready(self) -> bool:
        """
        Return whether a line can be written without waiting.
        """
        return writable(self._descriptor, 0)

    def write(self, lines: bytes) -> None:
        """
        Write lines, as long as it takes.

        Raises:
            OSError: not all was written, but ``written_bytes``; the next line will not continue what is torn.
        """
        self.written_bytes = -1 if self._torn else 0
        left = memoryview(b"\n" + lines if self._torn else lines)
        while left:
            try:
                written = self._system_write(self._descriptor, left)
            except BlockingIOError:
                writable(self._descriptor, None)
                continue
            self.written_bytes += written
            left = left[written:]
            self._torn = bool(left)

    def reopen(self) -> None:
        """
        Do nothing: nobody but the starter can open it.
        """

    def rotate(self) -> None:
        """
        Do nothing, either.
        """


class File(Stream):
    """
    A log file, by its name.

    It is opened for appending, so that it may be truncated under way.  A FIFO is opened for reading too: then this does
    not wait for a reader, and does not fail where one goes away.
    """

    def __init__(self, path: str, rotated_bytes: int = _ROTATED_BYTES) -> None:
        """

        Raises:
            OSError: it cannot be opened.
        """
        self._path = os.path.abspath(path)
        self._rotated_bytes = self._next_rotation = rotated_bytes
        super().__init__(self._open(None))

    def _open(self, mode: int | None) -> int:
        flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOCTTY
        try:
            descriptor = os.open(self._path, flags | os.O_CREAT | os.O_EXCL, _NEW_MODE if mode is None else 0o600)
        except FileExistsError:
            return os.open(self._path, flags | os.O_CREAT, _NEW_MODE)
        if mode is not None:
            os.fchmod(descriptor, mode)
        return descriptor

    def write(self, lines: bytes) -> None:
        """See ``Stream.write``."""
        found = os.fstat(self._descriptor)
        if stat.S_ISREG(found.st_mode) and found.st_size >= self._next_rotation:
            self._next_rotation = found.st_size + self._rotated_bytes  # for where it fails
            with suppress(OSError):
                self.rotate()
        super().write(lines)

    def reopen(self) -> None:
        """
        Go on in the file that has the name now, or in a new one with the mode of the old one.

        Raises:
            OSError: it cannot be opened.  Then it goes on in the old one.
        """
        old = self._descriptor
        self._descriptor = self._open(stat.S_IMODE(os.fstat(old).st_mode))
        self._next_rotation = self._rotated_bytes
        os.close(old)

    def rotate(self) -> None:
        """
        Rename the file, with a number, and begin a new one.  Where somebody else has done so already, only begin it.

        Raises:
            OSError: it cannot be done.  Then it goes on in the old one.
        """
        found = os.fstat(self._descriptor)
        if not stat.S_ISREG(found.st_mode):
            return
        with suppress(FileNotFoundError):
            if os.path.samestat(found, os.stat(self._path)):
                self._rename()
        self.reopen()

    def _rename(self) -> None:
        folder, name = os.path.split(self._path)
        suffixes = (each.removeprefix(f"{name}.") for each in os.listdir(folder) if each.startswith(f"{name}."))
        for number in sorted((int(each) for each in suffixes if each.isdecimal()), reverse=True):
            os.rename(f"{self._path}.{number}", f"{self._path}.{number + 1}")
        os.rename(self._path, f"{self._path}.1")


class LineQueue:
    """
    Lines that wait to be written, and the thread that writes them.  Twisted's observers take it for a file.

    Where it is full, the oldest line goes: the last ones say why a daemon ended.  Lines may come from any thread, and
    from where a line is being added already, by a signal's handler or the garbage collector.

    Until it is started there is no thread, since twistd forks before that; lines are written at once if that needs no
    waiting, or else kept.
    """

    def __init__(self, output: Stream, describe_loss: Callable[[int, str], str], max_lines: int = MAX_LINES) -> None:
        """

        Args:
            describe_loss: makes a line from how many were lost, and why.
        """
        self._output = output
        self._describe_loss = describe_loss
        self._items: deque[tuple[int, bytes | Callable[[], None]]] = deque(maxlen=max_lines)
        self._numbers = count()
        self._mutex = threading.RLock()
        self._thread: threading.Thread | None = None
        # Held while there is nothing to do.  Unlike an event it can be released by whoever is interrupted releasing it.
        self._idle = threading.Lock()
        self._idle.acquire()
        self._next_number = 0
        self._lost = 0
        self._reason = _TOO_SLOW

    def start(self) -> None:
        """
        Begin to write in a thread of its own.
        """
        # As a daemon: where nobody reads, it never ends.
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()
        self._wake()

    def write(self, text: str) -> None:
        """
        Add a line, without waiting.
        """
        self._add(text.encode(errors="backslashreplace"))

    def flush(self) -> None:
        """
        Do nothing: observers call it after each line.
        """

    def reopen(self) -> None:
        """
        Have the file opened anew after the lines that were added so far.
        """
        self._add(self._reopen)

    def rotate(self) -> None:
        """
        Have the file rotated after the lines that were added so far.
        """
        self._add(self._rotate)

    def drain(self, seconds: float = DRAIN_SECONDS) -> bool:
        """
        Wait until all that was added is written, but not for long.

        Returns:
            whether it is.
        """
        if self._thread is None:
            self._write_ready()
            return not self._items
        done = threading.Event()
        self._add(done.set)
        return done.wait(seconds)

    def _add(self, item: bytes | Callable[[], None]) -> None:
        with self._mutex:
            self._items.append((next(self._numbers), item))
        if self._thread is None:
            self._write_ready()
        else:
            self._wake()

    def _wake(self) -> None:
        with suppress(RuntimeError):  # it is awake
            self._idle.release()

    def _write_ready(self) -> None:
        while self._items and self._output.ready():
            self._take(1)

    # In the thread.

    def _run(self) -> None:
        while True:
            self._idle.acquire()
            while self._items:
                self._take(_WRITTEN_AT_ONCE)

    def _take(self, size_bytes: int) -> None:
        lines: list[bytes] = []
        while self._items and size_bytes > 0:
            number, item = self._items.popleft()
            if number > self._next_number:
                self._write(lines)
                self._lost += number - self._next_number
                self._reason = _TOO_SLOW
            self._next_number = number + 1
            if isinstance(item, bytes):
                lines.append(item)
                size_bytes -= len(item)
            else:
                self._write(lines)
                item()
        self._write(lines)

    def _write(self, lines: list[bytes]) -> None:
        """
        Write lines, and take them from the list.
        """
        if not lines:
            return
        described = self._lost
        if described:
            lines.insert(0, self._describe_loss(described, self._reason).encode())
        try:
            self._output.write(b"".join(lines))
        except Exception as error:  # the thread outlives whatever one line meets
            whole = sum(end <= self._output.written_bytes for end in accumulate(map(len, lines)))
            self._lost = len(lines) - whole
            if described and not whole:
                self._lost += described - 1  # the line that tells of them is not one of them
            self._reason = getattr(error, "strerror", None) or str(error)
        else:
            self._lost = 0
        lines.clear()

    def _reopen(self) -> None:
        try:
            self._output.reopen()
        except OSError as error:
            _log.warn("the log could not be opened anew, and goes on in the old file: {reason}", reason=error.strerror)

    def _rotate(self) -> None:
        try:
            self._output.rotate()
        except OSError as error:
            _log.warn("the log could not be rotated, and goes on in the old file: {reason}", reason=error.strerror)


def writable(descriptor: int, seconds: float | None) -> bool:
    """
    Wait until a descriptor can be written to, or until nobody is there to read.

    Args:
        seconds: how long to wait at most; ``None`` waits for ever.
    """
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(None if seconds is None else seconds * 1000))
