"""
What every archive must do: what the suites for models and for versions share.
"""

from collections.abc import Iterable

from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.contracts.archive import IArchive
from twisted_registry.domain.models import ModelInfo


class ArchiveContract(SynchronousTestCase):
    """
    An archive on a medium of the test's own.  Subclasses, in test modules, say how to make an archive.
    """

    def make_archive(self) -> IArchive:
        """
        Make an archive, not opened, on the test's own medium: the same one however often this is called in a test.
        """
        raise NotImplementedError

    def setUp(self) -> None:
        """
        Open an archive on an empty medium.
        """
        self.archive = self.opened()

    def opened(self) -> IArchive:
        """
        Open an archive, until the test ends.
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
        Make models.
        """
        for model_id in model_ids:
            self.archive.save_model(ModelInfo(model_id))

    def assert_ids(self, model_ids: Iterable[str]) -> None:
        """
        Check which models there are.
        """
        self.assertEqual(sorted(self.archive.model_ids()), sorted(model_ids))
