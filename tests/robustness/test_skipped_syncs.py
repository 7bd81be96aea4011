"""
Tests that the simulated power cuts notice a missing sync.
"""

import random
import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.robustness.disk.archive_story import Story
from tests.robustness.disk.scratch import memory_folder

_MOST_STORIES = 400

_SYNC_OF_A_MODEL = r"fsync (m|walker|[^.].*)"


class SkippedSyncTests(SynchronousTestCase):
    """
    An archive that skips a sync loses what it acknowledged.
    """

    def assert_noticed(self, skipped_syncs: str, reported: str = "", skipped_after: str = ".*") -> None:
        """
        Check that some power cut shows that the syncs are missing.

        Args:
            skipped_syncs: a regular expression; see ``LossySystem``.
            reported: a regular expression for what must be reported; by default anything.
            skipped_after: a regular expression; see ``LossySystem``.
        """
        lines: list[str] = []
        with memory_folder(Path(self.mktemp())) as directory:
            for number in range(_MOST_STORIES):
                chance, folder = random.Random(number), directory / str(number)
                story = Story(chance, folder, skipped_syncs=skipped_syncs, skipped_after=skipped_after)
                story.tell()
                lines += story.promises.wrong
                if lines and re.search(reported, "\n".join(lines)):
                    return
        self.fail(f"{_MOST_STORIES} archives survived their power cuts without {skipped_syncs}: {lines[:5]}")

    def test_no_sync_of_version_data(self) -> None:
        """
        The data of a version is synced before the version gets its name.
        """
        self.assert_noticed(r"fsync .*\.data|fsync .*\*.*")

    def test_no_sync_of_a_models_folder(self) -> None:
        """
        The folder of a model is synced after a name in it changed.
        """
        self.assert_noticed(_SYNC_OF_A_MODEL)

    def test_no_sync_of_the_archives_folder(self) -> None:
        """
        The folder of the archive is synced after a model was made or deleted.
        """
        self.assert_noticed(r"fsync \.")

    def test_no_sync_of_the_journal(self) -> None:
        """
        A move of an alias is synced before it is acknowledged.
        """
        self.assert_noticed(r"sync_data [^/]*/\.aliases", "its aliases")

    def test_no_sync_of_new_files(self) -> None:
        """
        The content of annotations is synced before they replace the old ones.
        """
        self.assert_noticed(r"fsync [^/]*/\.new-.*", "annotations|labels")

    def test_no_sync_of_a_policy(self) -> None:
        """
        The content of a retention policy is synced before it replaces the old one.
        """
        self.assert_noticed(r"fsync [^/]*/\.new-.*", "retention")

    def test_no_sync_after_a_deletion(self) -> None:
        """
        The folder of a model is synced after a version was deleted, before its data is removed.
        """
        self.assert_noticed(_SYNC_OF_A_MODEL, "is damaged|nobody can have created", r"rename .*\.deleted.*")
