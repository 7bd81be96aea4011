"""
Tests of the verification of an archive on a failing disk.
"""

import contextlib
import errno
from pathlib import Path

from tests.support.damage import damage, findings
from tests.support.faulty_system import FaultySystem, failing_at, failing_where
from tests.unit.test_verify import VerifyCase
from twisted_registry.cli.verify_report import finding_line
from twisted_registry.domain.errors import StorageFailure
from twisted_registry.storage.filesystem.verify.archive import Scrub
from twisted_registry.storage.filesystem.verify.findings import CannotVerify, Kind


class FaultyDiskTests(VerifyCase):
    """
    Failing disks, and processes at their limits.
    """

    def found_where(self, pattern: str, number: int) -> list[tuple[Kind, str | None, int | None]]:
        """
        Verify while certain calls fail.
        """
        system = FaultySystem(str(self.root), disturbance=failing_where(pattern, number))
        with Scrub(str(self.root), jobs=1, system=system) as scrub:
            return list(damage(scrub.findings()))

    def test_medium(self) -> None:
        """
        A file that the medium cannot read is damage.
        """
        for pattern, expected in (
            ("open m/m-v000002.data", (Kind.DATA_UNREADABLE, "m", 2)),
            ("read_into m/m-v000002.data", (Kind.DATA_UNREADABLE, "m", 2)),
            ("read m/m-v000002.yaml", (Kind.VERSION_YAML, "m", 2)),
            ("read m/m.yaml", (Kind.MODEL_YAML, "m", None)),
            ("listdir m", (Kind.FOLDER, "m", None)),
            ("open m", (Kind.FOLDER, "m", None)),
        ):
            self.assertEqual(self.found_where(pattern, errno.EIO), [expected], pattern)

    def test_unread(self) -> None:
        """
        A file that could not be read and may be intact is distinguished from one that was read and is wrong.
        """
        self.file("m-v000001.data").unlink()
        disturbance = failing_where("(open|read) m/m-v000002.(yaml|data)", errno.ETIMEDOUT)
        with Scrub(str(self.root), jobs=1, system=FaultySystem(str(self.root), disturbance=disturbance)) as scrub:
            found = list(scrub.findings())
        self.assertEqual([(finding.version_number, finding.is_unread) for finding in found], [(1, False), (2, True)])
        self.assertEqual([finding_line(finding).split()[0] for finding in found], ["damaged", "unread"])

    def test_one_fault(self) -> None:
        """
        If any single system call fails, an intact archive has no damage, except for unread files.
        """
        system = FaultySystem(str(self.root))
        with Scrub(str(self.root), jobs=1, system=system) as scrub:
            self.assertEqual(list(scrub.findings()), [])
        for number in (errno.EIO, errno.ESTALE):
            for position, call in enumerate(system.calls):
                faulty = FaultySystem(str(self.root), disturbance=failing_at(number, position))
                with Scrub(str(self.root), jobs=1, system=faulty) as scrub, contextlib.suppress(CannotVerify):
                    found = list(scrub.findings())
                    self.assertEqual([finding for finding in found if not finding.is_unread], [], call)

    def test_process(self) -> None:
        """
        If the process has no descriptors left, the verification fails instead of reporting damage.
        """
        for pattern in ("open m", "open m/m-v000002.data", "open m/m-v000002.yaml", "open m/m.yaml"):
            self.assertRaises(StorageFailure, self.found_where, pattern, errno.EMFILE)

    def test_root(self) -> None:
        """
        If the archive itself cannot be read, the verification fails.
        """
        self.assertRaises(CannotVerify, self.found_where, r"scandir \.", errno.EIO)
        self.assertRaises(CannotVerify, self.found_where, r"listdir \.0", errno.EIO)

    def test_no_archive(self) -> None:
        """
        A missing path, a file, and a directory without an archive are not archives.
        """
        for path in (self.root / "none", self.file("m.yaml"), Path(self.mktemp())):
            if path.name == "temp":
                (path / "etc").mkdir(parents=True)
            self.assertRaises(CannotVerify, findings, path)
