"""
What every archive must do: models.
"""

from zope.interface.verify import verifyObject

from tests.contract.archive import ArchiveContract
from tests.support.archives import ODD_IDS, ODD_TEXTS, data_of, put
from twisted_registry.contracts.archive import IArchive
from twisted_registry.domain.errors import CannotStart, CorruptVersion, UnknownModel
from twisted_registry.domain.models import MAX_VERSION_NUMBER, ModelInfo


class ModelContract(ArchiveContract):
    """
    The suite for models.
    """

    def test_interfaces(self) -> None:
        """
        The archive provides what it says.
        """
        self.assertTrue(verifyObject(IArchive, self.archive))
        self.assertIsInstance(self.archive.description, str)

    def test_empty(self) -> None:
        """
        A new archive holds no model.
        """
        self.assertEqual(self.archive.model_ids(), [])

    def test_save(self) -> None:
        """
        A model that was saved can be loaded.
        """
        info = ModelInfo("m", {"a": "b"})
        self.archive.save_model(info)
        self.assertEqual(self.archive.load_model("m"), info)

    def test_save_again(self) -> None:
        """
        Saving a model again replaces its user data, and leaves its versions.
        """
        self.archive.save_model(ModelInfo("m", {"a": "b"}))
        put(self.archive, "m", 1)
        self.archive.save_model(ModelInfo("m", {"c": "d"}))
        self.assertEqual(self.archive.load_model("m").metadata, {"c": "d"})
        self.assertEqual(self.archive.version_numbers("m"), [1])

    def test_ids(self) -> None:
        """
        All models are listed.
        """
        self.save("b", "a", "c")
        self.assert_ids("abc")

    def test_odd_user_data(self) -> None:
        """
        User data comes back as it was given, whatever it holds.
        """
        info = ModelInfo("m", {**dict.fromkeys(ODD_TEXTS, "v"), **{f"k{n}": text for n, text in enumerate(ODD_TEXTS)}})
        self.archive.save_model(info)
        self.reopen()
        self.assertEqual(self.archive.load_model("m"), info)

    def test_odd_ids(self) -> None:
        """
        No id is mistaken for anything but itself.
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
        Before it is saved, no id finds anything, next to any other that is.
        """
        for model_id in ODD_IDS:
            self.assertRaises(UnknownModel, self.archive.load_model, model_id)
            self.assertRaises(UnknownModel, self.archive.version_numbers, model_id)
            self.save(model_id)

    def test_delete_odd_ids(self) -> None:
        """
        Deleting a model deletes no other.
        """
        self.save(*ODD_IDS)
        for position, model_id in enumerate(ODD_IDS, 1):
            self.archive.delete_model(model_id)
            self.assert_ids(ODD_IDS[position:])

    def test_unknown(self) -> None:
        """
        A model that is not there is unknown to every call that needs it.
        """
        self.save("n")
        for call in (self.archive.load_model, self.archive.delete_model, self.archive.version_numbers):
            self.assertEqual(self.assertRaises(UnknownModel, call, "m").model_id, "m")
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

    def test_delete_takes_everything(self) -> None:
        """
        Versions and reserved numbers go with their model: one of the same id starts anew.
        """
        self.save("m")
        put(self.archive, "m", 1)
        self.archive.set_high_water_mark("m", 10)
        self.archive.delete_model("m")
        self.save("m")
        self.assertEqual(self.archive.version_numbers("m"), [])
        self.assertEqual(self.archive.high_water_mark("m"), 0)
        self.assertRaises(CorruptVersion, self.archive.load_version, "m", 1)

    def test_reserve(self) -> None:
        """
        The number reserved last is remembered, be it lower than the one before; at first it is 0.
        """
        self.save("m")
        self.assertEqual(self.archive.high_water_mark("m"), 0)
        for number in (1, MAX_VERSION_NUMBER, 7):
            self.archive.set_high_water_mark("m", number)
            self.assertEqual(self.archive.high_water_mark("m"), number)

    def test_reopen(self) -> None:
        """
        Models, versions and reserved numbers outlive the archive that wrote them.
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
        An archive that is open cannot be opened a second time, and is none the worse for it.
        """
        self.assertRaises(CannotStart, self.make_archive().open)
        self.assertRaises(CannotStart, self.archive.open)
        self.assertRaises(CannotStart, self.make_archive().open)
        self.reopen()
        self.save("m")
