"""
Tests that the simulated power cuts notice a missing sync.
"""

import random
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.robustness.disk.archive_story import Story
from tests.robustness.disk.scratch import memory_folder

_MOST_STORIES = 400


class SkippedSyncTests(SynchronousTestCase):
    """
    An archive that skips a sync loses what it acknowledged.
    """

    def assert_noticed(self, skipped_syncs: str) -> None:
        """
        Check that some power cut shows that the syncs are missing.

        Args:
            skipped_syncs: a regular expression; see ``LossySystem``.
        """
        with memory_folder(Path(self.mktemp())) as directory:
            for number in range(_MOST_STORIES):
                story = Story(random.Random(number), directory / str(number), skipped_syncs=skipped_syncs)
                story.tell()
                if story.promises.wrong:
                    return
        self.fail(f"{_MOST_STORIES} archives survived their power cuts without {skipped_syncs}")

    def test_no_sync_of_version_data(self) -> None:
        """
        The data of a version is synced before the version gets its name.
        """
        self.assert_noticed(r"fsync .*\.data|fsync .*\*.*")

    def test_no_sync_of_a_models_folder(self) -> None:
        """
        The folder of a model is synced after a name in it changed.
        """
        self.assert_noticed(r"fsync (m|walker|[^.].*)")

    def test_no_sync_of_the_archives_folder(self) -> None:
        """
        The folder of the archive is synced after a model was made or deleted.
        """
        self.assert_noticed(r"fsync \.")
