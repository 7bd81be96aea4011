"""
The archive on a file system: a file never replaces another one by mistake.
"""

import errno
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.support.fault_case import FaultCase, create, fill
from tests.support.faulty_system import Disturbance, failing_at, failing_from, failing_where, killed_at
from tests.support.filesystem_case import FilesystemCase
from twisted_registry.domain.errors import NumberTaken, StorageFailure
from twisted_registry.domain.models import ModelInfo
from twisted_registry.testing.archive_lifecycle import remove_all
from twisted_registry.testing.samples import data_of, finished, put, version_info

LINK, CLAIM = "link", "claim"


def both(*disturbances: Disturbance) -> Disturbance:
    """
    Combine several disturbances.
    """

    def disturb(call: str) -> None:
        for disturbance in disturbances:
            disturbance(call)

    return disturb


def lacking(*calls: tuple[str, int]) -> Disturbance:
    """
    Refuse calls that the file system does not support.

    Args:
        calls: their names, each with the error number.
    """
    return both(*(failing_where(rf"{name} .*", number) for name, number in calls))


def file_systems() -> Iterator[tuple[str, Disturbance]]:
    """
    Yield the ways to rename without replacing, each with the calls that must be missing for it.
    """
    yield "rename_noreplace", lacking()
    for number in (errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.EOPNOTSUPP):
        yield LINK, lacking(("rename_noreplace", number))
    for number in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
        yield CLAIM, lacking(("rename_noreplace", errno.EINVAL), ("link", number))


class NewNameTests(FilesystemCase):
    """
    Each way to give a file a name that does not exist yet.
    """

    def bring(self, name: str, content: bytes = b"brought") -> Path:
        """
        Put a file into the model's folder.
        """
        path = self.root / "m" / name
        path.write_bytes(content)
        return path

    def test_each_way(self) -> None:
        """
        A version is created in each way, and nothing else is left.
        """
        for way, disturbance in file_systems():
            self.system.disturbance = disturbance
            self.archive.save_model(ModelInfo("m"))
            self.system.calls.clear()
            put(self.archive, "m", 1)
            self.assertEqual(data_of(self.archive, "m", 1), b"data")
            self.assertEqual(self.files(), ["m/m-v000001.data", "m/m-v000001.yaml", "m/m.yaml"])
            claims = [call for call in self.system.calls if call == "create m/m-v000001.data"]
            self.assertEqual(len(claims), int(way == CLAIM))
            self.assertEqual(any(call.startswith("link ") for call in self.system.calls), way != "rename_noreplace")
            self.archive.delete_model("m")
            remove_all(self.archive)

    def test_data_is_there(self) -> None:
        """
        If a file has the data's name, it stays, the number is refused, and the version can have a higher one.
        """
        for _, disturbance in file_systems():
            self.archive.save_model(ModelInfo("m"))
            brought = self.bring("m-v000001.data"), self.bring("m-v000003.data")
            self.system.disturbance = disturbance
            writer = finished(self.archive, "m", b"data")
            error = self.assertRaises(NumberTaken, writer.commit, version_info("m", 1, b"data"))
            self.assertEqual((error.version_number, error.highest), (1, 3))
            writer.commit(version_info("m", 4, b"data"))
            self.assertEqual(data_of(self.archive, "m", 4), b"data")
            self.assertEqual([path.read_bytes() for path in brought], [b"brought"] * 2)
            self.system.disturbance = None
            self.archive.delete_model("m")

    def test_yaml_is_there(self) -> None:
        """
        If a file has the .yaml's name, it stays, and nothing of the version is left beside it.
        """
        for _, disturbance in file_systems():
            self.archive.save_model(ModelInfo("m"))
            brought = self.bring("m-v000001.yaml")
            self.system.disturbance = disturbance
            writer = finished(self.archive, "m", b"data")
            error = self.assertRaises(NumberTaken, writer.commit, version_info("m", 1, b"data"))
            self.assertEqual(error.highest, 1)
            self.assertEqual(brought.read_bytes(), b"brought")
            self.assertFalse(brought.with_suffix(".data").exists())
            writer.commit(version_info("m", 2, b"data"))
            self.assertEqual(data_of(self.archive, "m", 2), b"data")
            self.assertEqual(brought.read_bytes(), b"brought")
            self.system.disturbance = None
            self.archive.delete_model("m")

    def test_aborted(self) -> None:
        """
        A version whose number was refused can be aborted, and leaves nothing.
        """
        self.archive.save_model(ModelInfo("m"))
        self.bring("m-v000001.data")
        writer = finished(self.archive, "m", b"data")
        self.assertRaises(NumberTaken, writer.commit, version_info("m", 1, b"data"))
        writer.abort()
        self.assertEqual(self.files(), ["m/m-v000001.data", "m/m.yaml"])

    def test_model(self) -> None:
        """
        If a model appears while it is created, the existing one is used and keeps its versions.
        """
        for _, disturbance in file_systems():
            away = self.root.with_suffix(".away")
            self.archive.save_model(ModelInfo("m", {"a": "old"}))
            put(self.archive, "m", 1)
            (self.root / "m").rename(away)

            def bring(call: str, disturbance: Disturbance = disturbance, away: Path = away) -> None:
                if call.startswith(("rename", "rename_noreplace")) and call.endswith(" m") and away.exists():
                    away.rename(self.root / "m")
                disturbance(call)

            self.system.disturbance = bring
            self.archive.save_model(ModelInfo("m", {"a": "new"}))
            self.system.disturbance = None
            self.assertEqual(self.archive.load_model("m").metadata, {"a": "new"})
            self.assertEqual(self.archive.version_numbers("m"), [1])
            self.assertEqual(list((self.root / ".0" / "tmp").iterdir()), [])
            self.archive.delete_model("m")

    def test_sweep_spares_what_comes_later(self) -> None:
        """
        Data that appears after the model was first used may get its .yaml soon, so it is not removed as a leftover.
        """
        self.archive.save_model(ModelInfo("m"))
        self.assertEqual(self.archive.version_numbers("m"), [])
        brought = self.bring("m-v000001.data")
        self.assertEqual(self.archive.version_numbers("m"), [])
        self.assertTrue(brought.exists())

    def test_claim_that_stays(self) -> None:
        """
        A placeholder that could not be removed is gone before the next version exists.
        """
        self.archive.save_model(ModelInfo("m"))
        lacks = lacking(("rename_noreplace", errno.EINVAL), ("link", errno.EPERM))
        fails = failing_where(r"(rename .* m/m-v000001.data|unlink m/m-v.*)", errno.EIO)
        self.system.disturbance = both(lacks, fails)
        self.assertRaises(StorageFailure, put, self.archive, "m", 1)
        self.assertIn("m/m-v000001.data", self.files())
        self.system.disturbance = lacks
        put(self.archive, "m", 2)
        self.assertNotIn("m/m-v000001.data", self.files())


class NewNameFaultTests(FaultCase):
    """
    The creation of a version on file systems that lack some calls, disturbed at each call.
    """

    def test_complete_or_absent(self) -> None:
        """
        If any call fails, or the process dies anywhere, the version is complete or absent, and nothing else is left.
        """
        lacks = (
            lacking(("rename_noreplace", errno.EINVAL)),
            lacking(("rename_noreplace", errno.EINVAL), ("link", errno.EPERM)),
        )
        for lack in lacks:
            calls = len(self.attempt(fill, create, lack).system.calls)
            for disturbance in (killed_at, partial(failing_at, errno.EIO), partial(failing_from, errno.EIO)):
                for position in range(calls):
                    attempt = self.attempt(fill, create, both(disturbance(position), lack))
                    self.check_reopened(attempt)
                    self.assertEqual(attempt.data_without_yaml(), [], os.linesep.join(attempt.system.calls))
