"""
Tests for ``twisted_registry.daemon.log_queue``.
"""

import errno
import os
import stat
import threading
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.pipes import fill_pipe
from twisted_registry.daemon.log_queue import File, LineQueue, Stream

TIMEOUT_SECONDS = 120


class Output(Stream):
    """
    An output that can be held, and that can fail.

    Attributes:
        free: lines are written while it is set.
        held: set when a line waits.
        error: raised by each line, if there is one.
        done: lines, and what was done between them.
        writes: how often something was written.
    """

    def __init__(self) -> None:
        super().__init__(-1)
        self.free = threading.Event()
        self.free.set()
        self.held = threading.Event()
        self.error: OSError | None = None
        self.done: list[str] = []
        self.writes = 0

    def ready(self) -> bool:
        """See ``Stream.ready``."""
        return self.free.is_set()

    def write(self, lines: bytes) -> None:
        """See ``Stream.write``."""
        self.written_bytes = 0
        if not self.free.is_set():
            self.held.set()
        assert self.free.wait(TIMEOUT_SECONDS)
        if self.error:
            raise self.error
        self.done += lines.decode().splitlines()
        self.writes += 1

    def reopen(self) -> None:
        """See ``Stream.reopen``."""
        self.done.append("(reopened)")

    def rotate(self) -> None:
        """See ``Stream.rotate``."""
        raise OSError(errno.EACCES, "it is not allowed")


class LineQueueTests(SynchronousTestCase):
    """
    Lines are written in a separate thread.
    """

    def setUp(self) -> None:
        """
        Make a queue of three lines.
        """
        self.output = Output()
        self.addCleanup(self.output.free.set)
        self.queue = LineQueue(self.output, lambda count, reason: f"({count} lost: {reason})\n", max_lines=3)

    def hold(self) -> None:
        """
        Make the thread wait while it writes a first line.
        """
        self.queue.start()
        self.output.free.clear()
        self.queue.write("first\n")
        self.assertTrue(self.output.held.wait(TIMEOUT_SECONDS))

    def written(self) -> list[str]:
        """
        Release the output, and return what is written.
        """
        self.output.free.set()
        self.assertTrue(self.queue.drain(TIMEOUT_SECONDS))
        return self.output.done

    def test_nobody_waits(self) -> None:
        """
        While a line cannot be written, others are queued, and written later in order.
        """
        self.hold()
        for number in range(2):
            self.queue.write(f"{number}\n")
        self.assertEqual(self.output.done, [])
        self.assertEqual(self.written(), ["first", "0", "1"])

    def test_overflow(self) -> None:
        """
        If there are too many lines, the oldest are dropped, and a line in their place reports their number.
        """
        self.hold()
        for number in range(10):
            self.queue.write(f"{number}\n")
        self.output.free.set()
        # A queue of three: what is drained takes a place in it, unless the thread was faster.
        self.assertTrue(self.queue.drain(TIMEOUT_SECONDS))
        first, lost, *last = self.output.done
        self.assertEqual(first, "first")
        self.assertEqual(last, [str(number) for number in range(10 - len(last), 10)])
        self.assertIn(len(last), (2, 3))
        self.assertEqual(lost, f"({10 - len(last)} lost: the log is written more slowly than it grows)")

    def test_made_later(self) -> None:
        """
        Lines that are made later are made in the thread that writes, in order with the others.
        """
        makers: list[threading.Thread] = []

        def make() -> str:
            makers.append(threading.current_thread())
            return f"made {len(makers)}\n"

        self.hold()
        self.queue.write_later(make)
        self.queue.write("between\n")
        self.assertEqual(self.written(), ["first", "made 1", "between"])
        self.queue.write_later(make)
        self.assertEqual(self.written()[3:], ["made 2"])
        self.assertNotIn(threading.current_thread(), makers)

    def test_made_before_the_start(self) -> None:
        """
        Before there is a thread, lines are made at once.
        """
        self.queue.write_later(lambda: "made\n")
        self.assertEqual(self.output.done, ["made"])

    def test_nobody_wakes_the_thread(self) -> None:
        """
        A line that is made later is written even if nothing else happens.
        """
        written = threading.Event()

        def make() -> str:
            written.set()
            return "made\n"

        self.queue.start()
        self.queue.write_later(make)
        self.assertTrue(written.wait(TIMEOUT_SECONDS))

    def test_a_line_that_cannot_be_made(self) -> None:
        """
        A bug in the making of a line ends neither the thread nor the lines after it.
        """
        self.queue.start()
        self.queue.write_later(lambda: str(1 // 0))
        self.queue.write("next\n")
        self.assertEqual(self.written(), ["next"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_drained_for_a_while(self) -> None:
        """
        Draining the queue does not wait forever.
        """
        self.hold()
        self.assertFalse(self.queue.drain(0))

    def test_errors(self) -> None:
        """
        Lines that cannot be written are counted, and reported before the next line that can.
        """
        self.queue.start()
        self.output.error = OSError(errno.ENOSPC, "the disk is full")
        for _ in range(2):
            self.queue.write("lost\n")
            self.assertTrue(self.queue.drain(TIMEOUT_SECONDS))
        self.output.error = None
        for word in ("room", "again"):
            self.queue.write(f"{word}\n")
            self.assertTrue(self.queue.drain(TIMEOUT_SECONDS))
        self.assertEqual(self.output.done, ["(2 lost: the disk is full)", "room", "again"])

    def test_burst(self) -> None:
        """
        Queued lines are written in one call, so that the thread keeps up with a burst of lines.
        """
        self.hold()
        self.queue.write("second\n")
        self.queue.write("third\n")
        self.assertEqual(self.written(), ["first", "second", "third"])
        self.assertEqual(self.output.writes, 2)

    def test_lines_that_were_written_are_not_lost(self) -> None:
        """
        If a batch of lines is written in part, only the lines that are incomplete count as lost.
        """
        written, room = b"", [0]

        def write(descriptor: int, data: memoryview) -> int:
            nonlocal written
            size = min(room[0], len(data))
            if not size:
                raise OSError(errno.ENOSPC, "the disk is full")
            room[0] -= size
            written += data[:size]
            return size

        queue = LineQueue(Stream(-1, write), lambda count, reason: f"({count} lost: {reason})\n")
        for line in ("first\n", "second\n", "third\n"):
            queue._items.append((next(queue._numbers), line.encode()))
        room[0] = len("first\nsec")
        queue._take(1000)
        queue._items.append((next(queue._numbers), b"fourth\n"))
        queue._take(1000)
        room[0] = 1000
        queue._items.append((next(queue._numbers), b"fifth\n"))
        queue._take(1000)
        self.assertEqual(written, b"first\nsec\n(3 lost: the disk is full)\nfifth\n")

    def test_reopening_is_in_order(self) -> None:
        """
        Lines before a signal go to the old file, and lines after it to the new one.
        """
        self.hold()
        self.queue.reopen()
        self.queue.write("second\n")
        self.assertEqual(self.written(), ["first", "(reopened)", "second"])

    def test_goes_on_after_a_failed_rotation(self) -> None:
        """
        A file that cannot be rotated stays in use.
        """
        self.queue.start()
        self.queue.rotate()
        self.queue.write("second\n")
        self.assertEqual(self.written(), ["second"])

    def test_before_the_start(self) -> None:
        """
        Before the thread is started, lines are written at once if that does not block, and otherwise kept.
        """
        self.queue.write("at once\n")
        self.assertEqual(self.output.done, ["at once"])
        self.output.free.clear()
        self.queue.write("kept\n")
        self.assertFalse(self.queue.drain())
        self.queue.start()
        self.assertEqual(self.written(), ["at once", "kept"])

    def test_end_without_a_start(self) -> None:
        """
        A process that exits before the start writes the lines it kept.
        """
        self.output.free.clear()
        self.queue.write("kept\n")
        self.output.free.set()
        self.assertTrue(self.queue.drain())
        self.assertEqual(self.output.done, ["kept"])

    def test_added_while_one_is_added(self) -> None:
        """
        A line may be added while another one is being added, as by a signal handler.
        """

        class Line(str):
            __slots__ = ()

            def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
                inner.write("inner\n")
                return super().encode(encoding, errors)

        inner = self.queue
        self.queue.start()
        with self.queue._mutex:
            self.queue.write(Line("outer\n"))
        self.assertEqual(self.written(), ["inner", "outer"])


class StreamTests(SynchronousTestCase):
    """
    Streams of all kinds.
    """

    def test_not_blocking(self) -> None:
        """
        All lines reach a nonblocking pipe, as fast as it is read.
        """
        end, start = os.pipe()
        os.set_blocking(start, False)
        read: list[bytes] = []

        def read_all() -> None:
            with open(end, "rb") as file:
                read.append(file.read())

        reader = threading.Thread(target=read_all)
        line = bytes(2**20) + b"\n"

        def write_all() -> None:
            Stream(start).write(line)
            os.close(start)

        writer = threading.Thread(target=write_all)
        writer.start()
        reader.start()
        for thread in (writer, reader):
            thread.join(TIMEOUT_SECONDS)
        self.assertEqual(read, [line])

    def test_ready(self) -> None:
        """
        A full pipe is not ready; a pipe without a reader fails at once.
        """
        end, start = os.pipe()
        self.addCleanup(os.close, start)
        stream = Stream(start)
        self.assertTrue(stream.ready())
        fill_pipe(start)
        self.assertFalse(stream.ready())
        os.close(end)
        self.assertTrue(stream.ready())
        self.assertRaises(BrokenPipeError, stream.write, b"line\n")

    def test_torn_line(self) -> None:
        """
        A line after one that was written in part begins on a new line.
        """
        written = b""
        room = [3, 0, 100, 100]

        def write(descriptor: int, data: memoryview) -> int:
            nonlocal written
            size = min(room.pop(0), len(data))
            if not size:
                raise OSError(errno.ENOSPC, "the disk is full")
            written += data[:size]
            return size

        stream = Stream(-1, write)
        self.assertRaises(OSError, stream.write, b"torn line\n")
        stream.write(b"second\n")
        stream.write(b"third\n")
        self.assertEqual(written, b"tor\nsecond\nthird\n")


class FileTests(SynchronousTestCase):
    """
    A log file.
    """

    def setUp(self) -> None:
        """
        Make a directory with a log of one line.
        """
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.path = self.folder / "log"
        self.file = File(str(self.path), rotated_bytes=20)
        self.file.write(b"first\n")

    def assert_files(self, **texts: str) -> None:
        """
        Check the contents of the directory.
        """
        found = {path.name.replace(".", "_"): path.read_text() for path in self.folder.iterdir()}
        self.assertEqual(found, texts)

    def test_goes_on(self) -> None:
        """
        An existing file is appended to.
        """
        File(str(self.path)).write(b"second\n")
        self.assert_files(log="first\nsecond\n")

    def test_moved_away(self) -> None:
        """
        If the file was removed or replaced, both operations continue in the file that has the name now.
        """
        for act in (self.file.reopen, self.file.rotate):
            self.path.rename(self.folder / "moved")
            act()
            self.file.write(b"second\n")
            self.assertEqual((self.folder / "moved").read_text()[-6:], "first\n")
            self.path.rename(self.folder / "moved")
            self.path.touch()
            act()
            self.file.write(b"first\n")
            self.assert_files(moved="second\n", log="first\n")

    def test_rotated(self) -> None:
        """
        If the file was not moved, it is renamed, and so are older ones.
        """
        (self.folder / "log.old").touch()
        for text in (b"second\n", b"third\n"):
            self.file.rotate()
            self.file.write(text)
        self.assert_files(log_2="first\n", log_1="second\n", log="third\n", log_old="")

    def test_rotated_by_size(self) -> None:
        """
        A file that is long enough is rotated automatically.
        """
        self.file.write(b"it is long enough now\n")
        self.file.write(b"second\n")
        self.assert_files(log_1="first\nit is long enough now\n", log="second\n")

    def test_truncated_under_way(self) -> None:
        """
        A file that was copied and truncated is written from its new beginning.
        """
        os.truncate(self.path, 0)
        self.file.write(b"second\n")
        self.assert_files(log="second\n")

    def test_mode(self) -> None:
        """
        A new file has the mode of the one before, whatever the umask; an existing file keeps its mode.
        """
        self.path.chmod(0o640)
        self.addCleanup(os.umask, os.umask(0o077))
        self.file.rotate()
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o640)
        self.path.unlink()
        self.path.touch(0o600)
        self.file.reopen()
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)

    def test_mode_of_a_first_file(self) -> None:
        """
        Only the owner may write to a new file, even with an empty umask.
        """
        self.addCleanup(os.umask, os.umask(0))
        path = self.folder / "another"
        self.addCleanup(os.close, File(str(path))._descriptor)
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o644)

    def test_cannot_be_reopened(self) -> None:
        """
        If no new file can be opened, the old one stays in use.
        """
        moved = self.folder.rename(f"{self.folder}-moved")
        for act in (self.file.reopen, self.file.rotate):
            self.assertRaises(FileNotFoundError, act)
        self.file.write(b"second\n")
        self.assertEqual((moved / "log").read_text(), "first\nsecond\n")

    def test_rotation_by_size_that_fails(self) -> None:
        """
        A file that reaches its size and cannot be rotated stays in use.
        """
        moved = self.folder.rename(f"{self.folder}-moved")
        for _ in range(3):
            self.file.write(b"it is long enough now\n")
        self.assertEqual((moved / "log").read_text(), "first\n" + 3 * "it is long enough now\n")

    def test_fifo(self) -> None:
        """
        A FIFO needs no reader, and is neither renamed nor lost.
        """
        path = self.folder / "fifo"
        os.mkfifo(path)
        file = File(str(path), rotated_bytes=1)
        for act in (file.rotate, file.reopen):
            file.write(b"line\n")
            act()
        self.assertTrue(path.is_fifo())
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        self.assertEqual(os.read(reader, 100), b"line\nline\n")
        file.write(b"read\n")
        self.assertEqual(os.read(reader, 100), b"read\n")
