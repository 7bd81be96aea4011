"""
The disk that forgets: what it may forget, and what not.
"""

import errno
import random
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.robustness.disk.lossy_system import LossySystem
from tests.support.faulty_system import failing_where

CHANCES = 60


class LossyDiskTests(SynchronousTestCase):
    """
    The state after power cuts, in as many ways as chance gives.
    """

    def outcomes(self, *acts: str) -> set[str]:
        """
        Return the possible states after acts such as ``write a``, ``sync a``, ``rename a b``: names with their
        contents.
        """
        found = set()
        for seed in range(CHANCES):
            root, left = (Path(self.mktemp()).absolute() for _ in range(2))
            root.mkdir(parents=True)
            left.parent.mkdir(parents=True, exist_ok=True)
            system = LossySystem(str(root))
            for act in acts:
                name, *paths = act.split()
                ACTS[name](system, *(str(root / path) if path != "." else str(root) for path in paths))
            system.cut(random.Random(seed), str(left))
            found.add(shown(left))
        return found

    def test_nothing_synced(self) -> None:
        """
        A file that was never synced is there or not, with any part of what was written, or zeros.
        """
        self.assertEqual(self.outcomes("write a"), {"", "a:", "a:00", "a:x", "a:x0", "a:xx"})

    def test_name_without_content(self) -> None:
        """
        A sync of the folder alone makes a name durable, but not the file's content.
        """
        self.assertEqual(self.outcomes("write a", "sync ."), {"a:", "a:00", "a:x", "a:x0", "a:xx"})

    def test_content_without_name(self) -> None:
        """
        A sync of the file alone does not make its name durable.
        """
        self.assertEqual(self.outcomes("write a", "sync a"), {"", "a:xx"})

    def test_both(self) -> None:
        """
        With both, the file is there.
        """
        self.assertEqual(self.outcomes("write a", "sync a", "sync ."), {"a:xx"})

    def test_rename(self) -> None:
        """
        A rename has happened or not, and then the old file is there.
        """
        begun = ("write a", "sync a", "write b", "more b", "sync b", "sync .", "rename a b")
        self.assertEqual(self.outcomes(*begun), {"a:xx b:xxxx", "b:xx"})
        self.assertEqual(self.outcomes(*begun, "sync ."), {"b:xx"})

    def test_other_folder(self) -> None:
        """
        A rename is durable once the target directory is synced, whether or not the source directory is.
        """
        begun = ("mkdir d", "write a", "sync a", "sync .", "rename a d/a")
        self.assertEqual(self.outcomes(*begun), {"a:xx d", "d d/a:xx"})
        self.assertEqual(self.outcomes(*begun, "sync ."), {"a:xx d", "d d/a:xx"})
        self.assertEqual(self.outcomes(*begun, "sync d"), {"d d/a:xx"})

    def test_any_order(self) -> None:
        """
        Of two changes the later may have happened without the earlier.
        """
        self.assertEqual(self.outcomes("mkdir d", "mkdir e"), {"", "d", "e", "d e"})

    def test_sense(self) -> None:
        """
        A file has another's name only once the other does not; an earlier rename does not undo a later one.
        """
        begun = ("mkdir t", "mkdir d", "mkdir d/in", "mkdir e", "sync d", "sync .", "rename d t/d", "rename e d")
        self.assertEqual(self.outcomes(*begun), {"d d/in e t", "e t t/d t/d/in", "d t t/d t/d/in"})
        self.assertEqual(self.outcomes(*begun[:-1], "rename t/d d", "sync ."), {"d d/in e t"})

    def test_failed_sync(self) -> None:
        """
        A later sync does not make durable what a failed one did not.
        """
        self.assertIn("a:", self.outcomes("write a", "fail a", "sync a", "sync ."))


def _write(system: LossySystem, path: str) -> None:
    descriptor = system.open(path, 0o101)
    system.write(descriptor, memoryview(b"xx"))
    system.close(descriptor)


def _more(system: LossySystem, path: str) -> None:
    descriptor = system.open(path, 0o2001)
    system.write(descriptor, memoryview(b"xx"))
    system.close(descriptor)


def _sync(system: LossySystem, path: str) -> None:
    descriptor = system.open(path, 0)
    system.fsync(descriptor)
    system.close(descriptor)


def _fail(system: LossySystem, path: str) -> None:
    system.disturbance = failing_where("fsync .*", errno.EIO)
    try:
        _sync(system, path)
    except OSError:
        system.disturbance = None


ACTS: dict[str, Callable[..., None]] = {
    "write": _write,
    "more": _more,
    "sync": _sync,
    "fail": _fail,
    "mkdir": LossySystem.mkdir,
    "rename": LossySystem.rename,
}


def shown(root: Path) -> str:
    """
    Return the contents of a directory, in a line.
    """
    paths = sorted(root.rglob("*"))
    return " ".join(
        str(path.relative_to(root)) + (f":{path.read_text()}".replace("\0", "0") if path.is_file() else "")
        for path in paths
    )
