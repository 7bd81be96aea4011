"""
The archive on a file system: archives of the existing registry.

The one here was written by Go's yaml.v2, except for ``my_model``, which was written by hand in its style.
"""

import json
import shutil
from pathlib import Path

from tests.support.filesystem_case import FilesystemCase
from twisted_registry.testing.samples import data_of, hash_of

DATA = Path(__file__).parent.parent / "data"


class GoArchiveTests(FilesystemCase):
    """
    A copy of such an archive.
    """

    def prepare(self) -> None:
        """
        Copy it, because opening an archive changes it.
        """
        shutil.copytree(DATA / "go_archive", self.root)
        self.expected = json.loads((DATA / "go_archive.json").read_text("utf-8"))

    def test_models(self) -> None:
        """
        Its models are there, with their metadata.
        """
        self.assertEqual(sorted(self.archive.model_ids()), ["my_model", "nasty_model"])
        metadata = {"model_test1": "model_test1", "model_test2": "42"}
        self.assertEqual(self.archive.load_model("my_model").metadata, metadata)

    def test_user_data(self) -> None:
        """
        Keys and values that yaml.v2 wrote are read as they were meant.
        """
        self.assertEqual(self.archive.load_model("nasty_model").metadata, self.expected["user_data"])
        self.assertEqual(self.archive.load_version("nasty_model", 1).metadata, self.expected["user_data"])

    def test_versions(self) -> None:
        """
        Its versions are there, archived, with their data, metadata and hashes.
        """
        self.assertEqual(self.archive.version_numbers("my_model"), [1, 2])
        first, second = (self.archive.load_version("my_model", number) for number in (1, 2))
        self.assertEqual((first.archived, first.metadata, second.metadata), (True, {}, {"a": "=", "b": "<<", "n": "1"}))
        for number, info in enumerate((first, second), 1):
            data = data_of(self.archive, "my_model", number)
            self.assertEqual((info.sha256, info.size_bytes), (hash_of(data), len(data)))

    def test_times(self) -> None:
        """
        Times are read to the nanosecond, whatever their offset and number of digits.
        """
        infos = [self.archive.load_version("nasty_model", number) for number in (1, 2, 3)]
        self.assertEqual([info.created_ns for info in infos], self.expected["created_ns"])
        self.assertEqual(self.archive.load_version("my_model", 2).created_ns, 1_633_119_005_107_454_600)
