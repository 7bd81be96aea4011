"""
``ErrorTranslation``.
"""

from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.domain.errors import StorageFailure, StorageUnavailable
from twisted_registry.domain.translation import ErrorTranslation


def fail(error: Exception) -> None:
    raise error


class ErrorTranslationTests(SynchronousTestCase):
    """
    The errors that a block raises.
    """

    translation = ErrorTranslation(OSError, lambda error: StorageFailure(str(error)))

    def test_an_error_is_translated_and_stays_the_cause(self) -> None:
        original = OSError("it burns")
        with self.assertRaises(StorageFailure) as raised, self.translation:
            fail(original)
        self.assertEqual("it burns", raised.exception.reason)
        self.assertIs(original, raised.exception.__cause__)

    def test_an_error_of_a_subclass_is_translated(self) -> None:
        with self.assertRaises(StorageFailure), self.translation:
            fail(FileNotFoundError())

    def test_another_error_passes(self) -> None:
        with self.assertRaises(ValueError), self.translation:
            fail(ValueError())

    def test_an_error_that_is_its_own_translation_passes_unchanged(self) -> None:
        original = StorageUnavailable("away")
        with self.assertRaises(StorageUnavailable) as raised, ErrorTranslation(StorageFailure, lambda error: error):
            fail(original)
        self.assertIs(original, raised.exception)
        self.assertIsNone(raised.exception.__cause__)

    def test_blocks_may_be_nested_in_one_another(self) -> None:
        with self.assertRaises(StorageFailure) as raised, self.translation, self.translation:
            fail(OSError("it burns"))
        self.assertEqual("it burns", raised.exception.reason)
