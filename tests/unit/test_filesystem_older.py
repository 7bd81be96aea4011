"""
The archive on a file system: archives of older versions of the registry.

The one here was written before idempotency keys, aliases, labels, deletions and retention existed.
"""

import shutil
from pathlib import Path

from tests.support.damage import findings
from tests.support.filesystem_case import FilesystemCase
from twisted_registry.domain.annotations import Annotations
from twisted_registry.domain.models import ModelInfo
from twisted_registry.testing.samples import data_of, put

DATA = Path(__file__).parent.parent / "data" / "archive_before_0_1"


class OlderArchiveTests(FilesystemCase):
    """
    A copy of such an archive.
    """

    def prepare(self) -> None:
        """
        Copy it, because opening an archive changes it.
        """
        shutil.copytree(DATA, self.root)

    def test_read(self) -> None:
        """
        Its models, versions, numbers and id are read, and it is sound.
        """
        self.assertEqual(sorted(self.archive.model_ids()), ["a/../b", "walker"])
        self.assertEqual(self.archive.load_model("walker"), ModelInfo("walker", {"algorithm": "ppo"}))
        self.assertEqual(self.archive.version_numbers("walker"), [1, 2, 3])
        self.assertEqual(data_of(self.archive, "walker", 2), b"data 2\n")
        self.assertEqual(self.archive.load_version("walker", 2).metadata, {"epoch": "2"})
        self.assertEqual(data_of(self.archive, "a/../b", 7), b"other\n")
        self.assertEqual(self.archive.high_water_mark("walker"), 100)
        self.assertIn(f'"{self.archive.identity().archive_id}"', (DATA / ".0" / "identity").read_text())
        self.assertEqual(findings(self.root), [])

    def test_written(self) -> None:
        """
        Versions and labels are added without changing a file that was there.
        """
        before = {path: path.read_bytes() for path in self.root.glob("[!.]*/*")}
        put(self.archive, "walker", 101, b"new")
        self.archive.save_annotations("walker", 1, Annotations({"good": "yes"}, {}))
        self.reopen()
        self.assertEqual(self.archive.version_numbers("walker"), [1, 2, 3, 101])
        self.assertEqual(self.archive.load_annotations("walker", [1]), [Annotations({"good": "yes"}, {})])
        self.assertEqual({path: path.read_bytes() for path in before}, before)
