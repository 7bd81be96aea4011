"""
The queue of log lines for a file: logging never waits for the reader of the log.
"""

import os
import select
import stat
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import accumulate, count

from attrs import define
from twisted.logger import Logger
from twisted.python.failure import Failure

_log = Logger(namespace="twisted_registry")

MAX_LINES = 4096
DRAIN_SECONDS = 2.0
"""How long the exiting process waits for queued lines to be written."""

_ROTATED_BYTES = 1_000_000
"""The size at which a log file is rotated, as in twistd."""

_NEW_MODE = 0o644
"""Others may read a log, if the umask allows; only its owner may write to it, whatever the umask."""

_BATCH_BYTES = 64 * 1024
"""
Bytes of lines that are written in one call.  Each call releases the interpreter's lock to the threads that log, and
gets it back only after some milliseconds: written line by line, two thirds of a burst of 30,000 lines were lost.
"""

_LATER_SECONDS = 0.1
"""
How long lines wait that are made later: to wake the thread for each would cost calls more than the lines themselves.
"""

_TOO_SLOW = "the log is written more slowly than it grows"


class Stream:
    """
    An open descriptor of any kind, blocking or not, such as that of stdout.

    Attributes:
        written_bytes: how many bytes of the last call of ``write`` were written.
    """

    def __init__(self, descriptor: int, write: Callable[[int, memoryview], int] = os.write) -> None:
        self._descriptor = descriptor
        self._system_write = write
        self._is_line_open = False
        self.written_bytes = 0

    def ready(self) -> bool:
        """
        Return whether a line can be written without waiting.
        """
        return writable(self._descriptor, 0)

    def write(self, lines: bytes) -> None:
        """
        Write lines, however long it takes.

        Raises:
            OSError: only ``written_bytes`` were written; the next call begins a new line.
        """
        self.written_bytes = -1 if self._is_line_open else 0
        left = memoryview(b"\n" + lines if self._is_line_open else lines)
        while left:
            try:
                written = self._system_write(self._descriptor, left)
            except BlockingIOError:
                writable(self._descriptor, None)
                continue
            self.written_bytes += written
            left = left[written:]
            self._is_line_open = bool(left)

    def reopen(self) -> None:
        """
        Do nothing: this process did not open the descriptor.
        """

    def rotate(self) -> None:
        """
        Do nothing: this process did not open the descriptor.
        """


class File(Stream):
    """
    A log file.

    It is opened for appending, so that it can be truncated while it is open.  A FIFO is opened for reading too, so that
    opening does not wait for a reader, and writing does not fail if the reader exits.
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
            self._next_rotation = found.st_size + self._rotated_bytes  # in case the rotation fails
            with suppress(OSError):
                self.rotate()
        super().write(lines)

    def reopen(self) -> None:
        """
        Continue in the file that has the name now, or in a new one with the mode of the old one.

        Raises:
            OSError: it cannot be opened.  The old file stays in use.
        """
        old = self._descriptor
        self._descriptor = self._open(stat.S_IMODE(os.fstat(old).st_mode))
        self._next_rotation = self._rotated_bytes
        os.close(old)

    def rotate(self) -> None:
        """
        Rename the file, with a number, and begin a new one.  If the file was renamed already, only begin the new one.

        Raises:
            OSError: it cannot be renamed or opened.  The old file stays in use.
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


@define(eq=False)
class _Made:
    """
    A line that is made in the thread that writes it.

    Attributes:
        make: makes it.
    """

    make: Callable[[], str]


_Item = bytes | _Made | Callable[[], None]


class LineQueue:
    """
    A queue of lines and the thread that writes them.  Twisted's observers use it like a file.

    If it is full, the oldest line is dropped, because the last ones show why a daemon exited.  Lines may be added in
    any thread, and while another line is being added, by a signal handler or the garbage collector.

    Before it is started there is no thread, because twistd forks first.  Until then, lines are written at once if that
    does not block, and otherwise kept.
    """

    def __init__(self, output: Stream, describe_loss: Callable[[int, str], str], max_lines: int = MAX_LINES) -> None:
        """

        Args:
            output: the stream to write to.
            describe_loss: returns a line that replaces lost lines, from their number and the reason.
            max_lines: how many lines are kept at most.
        """
        self._output = output
        self._describe_loss = describe_loss
        self._items: deque[tuple[int, _Item]] = deque(maxlen=max_lines)
        self._waits_max = max_lines // 2
        self._is_waiting = False
        self._numbers = count()
        self._mutex = threading.RLock()
        self._thread: threading.Thread | None = None
        # Held while the queue is empty.  Unlike an event, it can be released by code that interrupts its release.
        self._idle = threading.Lock()
        self._idle.acquire()
        self._next_number = 0
        self._lost = 0
        self._reason = _TOO_SLOW

    def start(self) -> None:
        """
        Start the thread that writes.
        """
        # A daemon thread, because it never ends if nobody reads the log.
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()
        self._wake()

    def write(self, text: str) -> None:
        """
        Add a line, without waiting.
        """
        self._add(text.encode(errors="backslashreplace"))

    def write_later(self, make: Callable[[], str]) -> None:
        """
        Add a line that the thread makes, within a tenth of a second or so.
        """
        if self._thread is None:
            self.write(make())
            return
        with self._mutex:
            self._items.append((next(self._numbers), _Made(make)))
        if not self._is_waiting or len(self._items) >= self._waits_max:
            self._is_waiting = True
            self._wake()

    def flush(self) -> None:
        """
        Do nothing: observers call it after each line.
        """

    def reopen(self) -> None:
        """
        Reopen the file after the lines that were added so far.
        """
        self._add(self._reopen)

    def rotate(self) -> None:
        """
        Rotate the file after the lines that were added so far.
        """
        self._add(self._rotate)

    def drain(self, seconds: float = DRAIN_SECONDS) -> bool:
        """
        Wait until all lines are written, for a limited time.

        Returns:
            whether they are.
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
        with suppress(RuntimeError):  # the thread is awake
            self._idle.release()

    def _write_ready(self) -> None:
        while self._items and self._output.ready():
            self._take(1)

    # --- In the thread ---

    def _run(self) -> None:
        while True:
            self._idle.acquire()
            if self._is_waiting:
                self._idle.acquire(timeout=_LATER_SECONDS)  # more of them, or a line that does not wait
                self._is_waiting = False
            while self._items:
                self._take(_BATCH_BYTES)

    def _take(self, size_bytes: int) -> None:
        lines: list[bytes] = []
        while self._items and size_bytes > 0:
            number, item = self._items.popleft()
            if number > self._next_number:
                self._write(lines)
                self._lost += number - self._next_number
                self._reason = _TOO_SLOW
            self._next_number = number + 1
            if isinstance(item, _Made):
                item = _made(item)
            if isinstance(item, bytes):
                lines.append(item)
                size_bytes -= len(item)
            else:
                self._write(lines)
                item()
        self._write(lines)

    def _write(self, lines: list[bytes]) -> None:
        """
        Write lines, and clear the list.
        """
        if not lines:
            return
        described = self._lost
        if described:
            lines.insert(0, self._describe_loss(described, self._reason).encode())
        try:
            self._output.write(b"".join(lines))
        except Exception as error:  # the thread survives every error
            whole = sum(end <= self._output.written_bytes for end in accumulate(map(len, lines)))
            self._lost = len(lines) - whole
            if described and not whole:
                self._lost += described - 1  # the line that reports them is not one of them
            self._reason = getattr(error, "strerror", None) or str(error)
        else:
            self._lost = 0
        lines.clear()

    def _reopen(self) -> None:
        try:
            self._output.reopen()
        except OSError as error:
            _log.warn("the log could not be reopened, and continues in the old file: {reason}", reason=error.strerror)

    def _rotate(self) -> None:
        try:
            self._output.rotate()
        except OSError as error:
            _log.warn("the log could not be rotated, and continues in the old file: {reason}", reason=error.strerror)


def _made(item: _Made) -> bytes:
    try:
        return item.make().encode(errors="backslashreplace")
    except Exception as error:  # a bug; the thread survives it
        _log.failure("a line of the log cannot be made", Failure(error))
        return b""


def writable(descriptor: int, seconds: float | None) -> bool:
    """
    Wait until a descriptor can be written, or its reader has closed it.

    Args:
        descriptor: the descriptor.
        seconds: how long to wait at most; ``None`` waits forever.

    Returns:
        whether one of the two is the case.
    """
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(None if seconds is None else seconds * 1000))
