"""
Tests for ``twisted_registry.daemon.memory_limit``.
"""

import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.daemon.memory_limit import cgroup_limit, machine_memory, resident_bytes, usable_memory

GIB = 2**30
V1_UNLIMITED = 9223372036854771712


class CgroupTests(SynchronousTestCase):
    """
    Limits of control groups, in fake trees of files.
    """

    def setUp(self) -> None:
        """
        Make an empty tree.
        """
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name, "cgroup")
        self.proc = Path(folder.name, "self")

    def write(self, path: str, text: str) -> None:
        """
        Write a file into the tree.
        """
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def limit(self, proc: str) -> int | None:
        """
        Return the limit of a process with certain groups.
        """
        self.proc.write_text(proc)
        return cgroup_limit(self.proc, self.root)

    def test_version_2(self) -> None:
        """
        The limit of a group is found.
        """
        self.write("a/b/memory.max", "1073741824\n")
        self.assertEqual(self.limit("0::/a/b\n"), GIB)

    def test_version_2_parent(self) -> None:
        """
        The lowest limit of a group and its parents applies.
        """
        self.write("memory.max", "max\n")
        self.write("a/memory.max", "1073741824\n")
        self.write("a/b/memory.max", "2147483648\n")
        self.assertEqual(self.limit("0::/a/b\n"), GIB)

    def test_version_2_container(self) -> None:
        """
        In a container the group's files are at the root, whatever its path.
        """
        self.write("memory.max", "1073741824\n")
        self.assertEqual(self.limit("0::/\n"), GIB)
        self.assertEqual(self.limit("0::/system.slice/docker-1.scope\n"), GIB)

    def test_version_2_unlimited(self) -> None:
        """
        'max' means that there is no limit.
        """
        self.write("a/memory.max", "max\n")
        self.assertIsNone(self.limit("0::/a\n"))

    def test_version_1(self) -> None:
        """
        The older layout works too, even with controllers mounted together.
        """
        self.write("memory/a/memory.limit_in_bytes", "1073741824\n")
        self.assertEqual(self.limit("12:cpu,cpuacct:/a\n9:memory,hugetlb:/a\n0::/\n"), GIB)

    def test_version_1_container(self) -> None:
        """
        In a container of the older layout the path does not exist; the root applies.
        """
        self.write("memory/memory.limit_in_bytes", "1073741824\n")
        self.assertEqual(self.limit("9:memory:/docker/1\n"), GIB)

    def test_nothing_there(self) -> None:
        """
        Without control groups there is no limit.
        """
        self.assertIsNone(cgroup_limit(self.proc, self.root))
        self.assertIsNone(self.limit(""))

    def test_nonsense(self) -> None:
        """
        A file that cannot be parsed is ignored.
        """
        self.write("a/memory.max", "0\n")
        self.write("memory.max", "lots\n")
        self.assertIsNone(self.limit("nonsense\n0::/a\n::\n"))

    def test_least_counts(self) -> None:
        """
        The usable memory is the lower of the machine's memory and the limit.
        """
        self.write("memory/memory.limit_in_bytes", str(V1_UNLIMITED))
        self.proc.write_text("9:memory:/\n")
        self.assertEqual(usable_memory(8 * GIB, self.proc, self.root), 8 * GIB)
        self.write("memory/memory.limit_in_bytes", str(2 * GIB))
        self.assertEqual(usable_memory(8 * GIB, self.proc, self.root), 2 * GIB)

    def test_machine(self) -> None:
        """
        The system reports the machine's memory.
        """
        machine_bytes = machine_memory()
        assert machine_bytes is not None
        self.assertGreater(machine_bytes, 0)
        self.assertEqual(usable_memory(None, self.proc, self.root), machine_bytes)


class ResidentTests(SynchronousTestCase):
    """
    The resident memory of this process.
    """

    def test_here(self) -> None:
        """
        It is above 0 if the system reports it.
        """
        self.assertGreater(resident_bytes(), 2**20)

    def test_where_the_system_does_not_say(self) -> None:
        """
        It is 0 if the system does not report it.
        """
        self.assertEqual(resident_bytes(Path(self.mktemp())), 0)
