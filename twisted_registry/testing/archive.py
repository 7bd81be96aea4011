"""
The tests of how archives store models.
"""

from collections.abc import Iterable

from zope.interface.verify import verifyObject

from twisted_registry.contracts.archive import IArchive
from twisted_registry.domain.errors import CannotStart, CorruptVersion, UnknownModel
from twisted_registry.domain.models import MAX_VERSION_NUMBER, ModelInfo
from twisted_registry.testing._case import ContractCase
from twisted_registry.testing.samples import ODD_IDS, ODD_TEXTS, data_of, put


class ArchiveContract(ContractCase):
    """
    The base of the suites for archives.

    A subclass defines ``make_archive``, and derives from a test case as well::

        class MyModelTests(ArchiveModelContract, unittest.TestCase):
            def make_archive(self):
                return MyArchive(self.path)

    Attributes:
        archive: an open archive on the test's medium.
    """

    archive: IArchive

    def make_archive(self) -> IArchive:
        """
        Make an archive on the test's medium, without opening it.

        Every call within a test uses the same medium, which is empty at the start of the test.

        Returns:
            A new archive.
        """
        raise NotImplementedError

    def setUp(self) -> None:
        """
        Open an archive on an empty medium.
        """
        super().setUp()
        self.archive = self.opened()

    def opened(self) -> IArchive:
        """
        Open an archive, and close it when the test ends.

        Returns:
            The open archive.
        """
        archive = self.make_archive()
        archive.open()
        self.addCleanup(archive.close)
        return archive

    def reopen(self) -> None:
        """
        Close the archive, and open another one on the same medium.
        """
        self.archive.close()
        self.archive = self.opened()

    def save(self, *model_ids: str) -> None:
        """
        Save models without metadata.

        Args:
            model_ids: the models' ids.
        """
        for model_id in model_ids:
            self.archive.save_model(ModelInfo(model_id))

    def assert_ids(self, model_ids: Iterable[str]) -> None:
        """
        Check which models the archive lists.

        Args:
            model_ids: the expected ids, in any order.
        """
        self.assertEqual(sorted(self.archive.model_ids()), sorted(model_ids))


class ArchiveModelContract(ArchiveContract):
    """
    The tests of ``IModelStore`` and ``IHighWaterMarks``, and of opening an archive.
    """

    def test_interface(self) -> None:
        """
        The archive provides ``IArchive`` and has a description.
        """
        self.assertTrue(verifyObject(IArchive, self.archive))
        self.assertIsInstance(self.archive.description, str)

    def test_empty(self) -> None:
        """
        A new archive has no models.
        """
        self.assertEqual(self.archive.model_ids(), [])

    def test_save(self) -> None:
        """
        A saved model can be loaded.
        """
        info = ModelInfo("m", {"a": "b"})
        self.archive.save_model(info)
        self.assertEqual(self.archive.load_model("m"), info)

    def test_save_again(self) -> None:
        """
        Saving a model again replaces its metadata and keeps its versions.
        """
        self.archive.save_model(ModelInfo("m", {"a": "b"}))
        put(self.archive, "m", 1)
        self.archive.save_model(ModelInfo("m", {"c": "d"}))
        self.assertEqual(self.archive.load_model("m").metadata, {"c": "d"})
        self.assertEqual(self.archive.version_numbers("m"), [1])

    def test_ids(self) -> None:
        """
        The archive lists all models.
        """
        self.save("b", "a", "c")
        self.assert_ids("abc")

    def test_odd_metadata(self) -> None:
        """
        Metadata is returned unchanged, whatever it contains.
        """
        info = ModelInfo("m", {**dict.fromkeys(ODD_TEXTS, "v"), **{f"k{n}": text for n, text in enumerate(ODD_TEXTS)}})
        self.archive.save_model(info)
        self.reopen()
        self.assertEqual(self.archive.load_model("m"), info)

    def test_odd_ids(self) -> None:
        """
        Every id names its own model, whatever it contains.
        """
        for model_id in ODD_IDS:
            self.archive.save_model(ModelInfo(model_id, {"id": model_id}))
            put(self.archive, model_id, 1, model_id.encode())
        self.reopen()
        self.assert_ids(ODD_IDS)
        for model_id in ODD_IDS:
            self.assertEqual(self.archive.load_model(model_id), ModelInfo(model_id, {"id": model_id}))
            self.assertEqual(data_of(self.archive, model_id, 1), model_id.encode())

    def test_odd_ids_are_unknown(self) -> None:
        """
        A model is unknown until it is saved, whichever other models exist.
        """
        for model_id in ODD_IDS:
            self.assertRaises(UnknownModel, self.archive.load_model, model_id)
            self.assertRaises(UnknownModel, self.archive.version_numbers, model_id)
            self.save(model_id)

    def test_delete_odd_ids(self) -> None:
        """
        Deleting a model deletes no other model.
        """
        self.save(*ODD_IDS)
        for position, model_id in enumerate(ODD_IDS, 1):
            self.archive.delete_model(model_id)
            self.assert_ids(ODD_IDS[position:])

    def test_unknown(self) -> None:
        """
        Every call that needs a model raises ``UnknownModel`` with its id if the model does not exist.
        """
        self.save("n")
        for call in (self.archive.load_model, self.archive.delete_model, self.archive.version_numbers):
            with self.assertRaises(UnknownModel) as caught:
                call("m")
            self.assertEqual(caught.exception.model_id, "m")
        self.assertRaises(UnknownModel, self.archive.set_high_water_mark, "m", 1)
        self.assertEqual(self.archive.high_water_mark("m"), 0)

    def test_delete(self) -> None:
        """
        A deleted model is unknown.
        """
        self.save("m", "n")
        self.archive.delete_model("m")
        self.assertRaises(UnknownModel, self.archive.load_model, "m")
        self.assertRaises(UnknownModel, self.archive.delete_model, "m")
        self.assert_ids("n")

    def test_delete_removes_everything(self) -> None:
        """
        Versions and the high-water mark are deleted with their model: a new model with the same id has none of them.
        """
        self.save("m")
        put(self.archive, "m", 1)
        self.archive.set_high_water_mark("m", 10)
        self.archive.delete_model("m")
        self.save("m")
        self.assertEqual(self.archive.version_numbers("m"), [])
        self.assertEqual(self.archive.high_water_mark("m"), 0)
        self.assertRaises(CorruptVersion, self.archive.load_version, "m", 1)

    def test_high_water_mark(self) -> None:
        """
        The high-water mark is 0 at first, and then the last one that was set, even if that is lower.
        """
        self.save("m")
        self.assertEqual(self.archive.high_water_mark("m"), 0)
        for number in (1, MAX_VERSION_NUMBER, 7):
            self.archive.set_high_water_mark("m", number)
            self.assertEqual(self.archive.high_water_mark("m"), number)

    def test_reopen(self) -> None:
        """
        Models, versions and high-water marks outlive the process that wrote them.
        """
        self.save("m")
        info = put(self.archive, "m", 3, b"data")
        self.archive.set_high_water_mark("m", 10)
        self.reopen()
        self.assertEqual(self.archive.load_model("m"), ModelInfo("m"))
        self.assertEqual(self.archive.load_version("m", 3), info)
        self.assertEqual(data_of(self.archive, "m", 3), b"data")
        self.assertEqual(self.archive.high_water_mark("m"), 10)

    def test_in_use(self) -> None:
        """
        An open archive cannot be opened a second time, and the attempt does not harm it.
        """
        self.assertRaises(CannotStart, self.make_archive().open)
        self.assertRaises(CannotStart, self.archive.open)
        self.assertRaises(CannotStart, self.make_archive().open)
        self.reopen()
        self.save("m")
