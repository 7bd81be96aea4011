"""
The names of an archive's folders and files.
"""

import re

from hypothesis import given, settings, strategies
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.domain.errors import InvalidModelId
from twisted_registry.domain.models import MAX_VERSION_NUMBER, check_model_id
from twisted_registry.storage.filesystem import layout as _layout
from twisted_registry.testing.samples import ODD_IDS


def _is_model_id(text: str) -> bool:
    try:
        check_model_id(text)
    except InvalidModelId:
        return False
    return True


MODEL_IDS = strategies.text(strategies.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=200).filter(
    _is_model_id
)


class FolderTests(SynchronousTestCase):
    """
    Folders of models.
    """

    def test_plain(self) -> None:
        """
        An id of a letter followed by letters, digits, dashes and underscores is its own folder's name.
        """
        for model_id in ("m", "Model-1_x", "CON", "m-v000001", "a" * 200):
            self.assertEqual(_layout.folder_of(model_id), model_id)

    def test_escaped(self) -> None:
        """
        In any other id, each byte that such a name cannot contain is escaped, or else the first byte.
        """
        cases = {
            "..": "%2E%2E",
            "a/../b": "a%2F%2E%2E%2Fb",
            "9abc": "%39abc",
            "-x": "%2Dx",
            "_x": "%5Fx",
            "%": "%25",
            "\u00e9": "%C3%A9",
            "m.": "m%2E",
            "9.": "9%2E",
        }
        for model_id, folder in cases.items():
            self.assertEqual(_layout.folder_of(model_id), folder)

    def test_hashed(self) -> None:
        """
        An id that would be too long when escaped is replaced by its SHA-256.
        """
        folder = _layout.folder_of("." * 200)
        self.assertTrue(_layout.is_hashed_name(folder))
        self.assertIsNone(_layout.model_id_of(folder))
        self.assertFalse(_layout.is_hashed_name(_layout.folder_of("." * 73)))

    def test_foreign(self) -> None:
        """
        A name that no id would get is not a model's.
        """
        foreign = [
            "lost+found",
            "x%2f",
            "x%2F%",
            "%41bc",
            "%6D",
            "%00",
            "%FF",
            "%C3",
            "%0A",
            ".m",
            ".0",
            "%%",
            "",
            "m\n",
        ]
        for name in [
            *foreign,
            "\udcff",
            "a" * 201,
            "%2",
            "m.yaml",
            "%%" + "0" * 63,
            "%%" + "A" * 64,
            "9abc",
            "-",
            "m ",
        ]:
            self.assertIsNone(_layout.model_id_of(name), name)
            self.assertFalse(_layout.is_hashed_name(name), name)

    def test_odd_ids(self) -> None:
        """
        No two ids share a folder.
        """
        self.assertEqual(len({_layout.folder_of(model_id) for model_id in ODD_IDS}), len(ODD_IDS))

    @settings(deadline=None)
    @given(MODEL_IDS)
    def test_round_trip(self, model_id: str) -> None:
        """
        Every id is parsed back from its folder's name, which stays within the archive and is short enough for all
        files.
        """
        folder = _layout.folder_of(model_id)
        if not _layout.is_hashed_name(folder):
            self.assertEqual(_layout.model_id_of(folder), model_id)
        self.assertTrue(re.fullmatch(r"[A-Za-z0-9_%-]+", folder))
        files = _layout.model_folder("", model_id)
        self.assertLessEqual(len(files.version_yaml(MAX_VERSION_NUMBER).rpartition("/")[2]), 255)

    @settings(deadline=None)
    @given(strategies.text(max_size=30) | strategies.from_regex(r"[%A-Fa-z0-9_.-]{1,12}", fullmatch=True))
    def test_injective(self, folder: str) -> None:
        """
        No two names stand for the same id.
        """
        model_id = _layout.model_id_of(folder)
        if model_id is not None:
            self.assertEqual(_layout.folder_of(model_id), folder)


class VersionFileTests(SynchronousTestCase):
    """
    Files of versions.
    """

    def numbers(self, *names: str) -> list[int]:
        """
        Return the version numbers of files with the given names in model 'm'.
        """
        return _layout.version_files("m", names).numbers

    def test_names(self) -> None:
        """
        Numbers have at least six digits.
        """
        folder = _layout.model_folder("/root", "m")
        self.assertEqual(folder.yaml, "/root/m/m.yaml")
        self.assertEqual(folder.version_yaml(1), "/root/m/m-v000001.yaml")
        self.assertEqual(folder.version_data(1234567), "/root/m/m-v1234567.data")

    def test_versions(self) -> None:
        """
        Each .yaml makes a version; they are ordered by number.
        """
        names = ("m-v1000000.yaml", "m-v999999.yaml", "m-v000002.data", "m-v000002.yaml", "m.yaml")
        self.assertEqual(self.numbers(*names), [2, 999_999, 1_000_000])

    def test_foreign(self) -> None:
        """
        A name that differs in any way is ignored.
        """
        foreign = (
            "m-v1.yaml",
            "m-v0000001.yaml",
            ".m-v000001.yaml",
            "m-v000001.yaml~",
            "m-v000001.yaml.tmp",
            "n-v000001.yaml",
        )
        also = (
            "m-v+00001.yaml",
            "m-v 00001.yaml",
            "m-v00_001.yaml",
            "m-v-00001.yaml",
            "m-v\u0661\u0661\u0661\u0661\u0661\u0661.yaml",
        )
        more = (
            "M-v000001.yaml",
            "m-v000001.YAML",
            "m-v000001.yml",
            "m-v.yaml",
            "m-v\u00b200000.yaml",
            "xm-v000001.yaml",
            "m-v000001\n.yaml",
        )
        self.assertEqual(self.numbers(*foreign, *also, *more), [])

    def test_out_of_range(self) -> None:
        """
        Numbers that no version can have are damage.
        """
        names = (
            "m-v000000.yaml",
            "m-v000001.yaml",
            "m-v2147483647.yaml",
            "m-v2147483648.yaml",
            "m-v99999999999999999999.yaml",
        )
        files = _layout.version_files("m", names)
        self.assertEqual(files.numbers, [1, 2**31 - 1])
        self.assertEqual(files.out_of_range, [0, 2**31, 99999999999999999999])
        self.assertEqual(_layout.version_files("m", names[:1]).out_of_range, [0])

    def test_data_without_yaml(self) -> None:
        """
        Data without a .yaml is uncommitted if its number is the highest; otherwise its .yaml is lost.
        """
        names = ("m-v000001.data", "m-v000002.yaml", "m-v000003.data", "m-v000004.data", "m-v000000.data")
        files = _layout.version_files("m", (*names, "m-v2147483648.data"))
        self.assertEqual((files.uncommitted, files.orphans), ([3, 4], [0, 1]))
