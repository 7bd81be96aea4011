"""
What every archive must do: tell a medium that cannot be read now from one that holds nothing, or damage.
"""

from contextlib import AbstractContextManager

from tests.contract.archive import ArchiveContract
from tests.support.archives import data_of, put
from twisted_registry.domain.errors import StorageFailure
from twisted_registry.domain.models import ModelInfo


class UnavailableContract(ArchiveContract):
    """
    The suite for a medium that fails for a moment.  Subclasses say how to make it fail.
    """

    def unavailable(self) -> AbstractContextManager[None]:
        """
        Have the medium fail whatever is read, for the length of a context.
        """
        raise NotImplementedError

    def test_reading_fails(self) -> None:
        """
        Whatever is read fails as a failure of the medium: nothing is empty, unknown or damaged by that.
        """
        self.archive.save_model(ModelInfo("m", {"a": "b"}))
        put(self.archive, "m", 1)
        with self.unavailable():
            for call in (self.archive.load_model, self.archive.version_numbers, self.archive.high_water_mark):
                self.assertRaises(StorageFailure, call, "m")
            self.assertRaises(StorageFailure, self.archive.model_ids)
            self.assertRaises(StorageFailure, self.archive.load_version, "m", 1)
            self.assertRaises(StorageFailure, data_of, self.archive, "m", 1)

    def test_nothing_is_remembered_of_it(self) -> None:
        """
        Afterwards all is there, whatever was asked for meanwhile.
        """
        info = ModelInfo("m", {"a": "b"})
        self.archive.save_model(info)
        version = put(self.archive, "m", 1)
        self.archive.set_high_water_mark("m", 5)
        with self.unavailable():
            for call in (self.archive.load_model, self.archive.version_numbers, self.archive.high_water_mark):
                self.assertRaises(StorageFailure, call, "m")
            self.assertRaises(StorageFailure, self.archive.load_version, "m", 1)
        self.assert_ids("m")
        self.assertEqual(self.archive.load_model("m"), info)
        self.assertEqual(self.archive.version_numbers("m"), [1])
        self.assertEqual(self.archive.load_version("m", 1), version)
        self.assertEqual(data_of(self.archive, "m", 1), b"data")
        self.assertEqual(self.archive.high_water_mark("m"), 5)

    def test_a_reader_fails(self) -> None:
        """
        Data that cannot be read further is not at its end.
        """
        self.save("m")
        put(self.archive, "m", 1, b"0123456789")
        reader = self.archive.open_version("m", 1)
        self.addCleanup(reader.close)
        with self.unavailable():
            self.assertRaises(StorageFailure, reader.read, 10)
