"""
Power cuts while versions are promoted, deleted, annotated and named.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.robustness.disk.lifecycle_story import LifecycleStory
from tests.robustness.disk.scratch import memory_folder

_STORIES = 150
_MOST_STORIES = 600


class LifecycleCutTests(SynchronousTestCase):
    """
    An acknowledged act outlives any power cut; another one has happened wholly or not at all.
    """

    @contextmanager
    def stories(self, count: int, skipped_syncs: str | None = None) -> Iterator[Iterator[LifecycleStory]]:
        """
        Return stories, which are lived one after the other.

        Args:
            skipped_syncs: a regular expression; see ``LossySystem``.
        """
        with memory_folder(Path(self.mktemp())) as directory:
            yield (self.lived(number, directory, skipped_syncs) for number in range(count))

    def lived(self, number: int, directory: Path, skipped_syncs: str | None) -> LifecycleStory:
        """
        Return a story after its end.
        """
        story = LifecycleStory(random.Random(f"lifecycle {number}"), directory / str(number), skipped_syncs)
        story.tell()
        return story

    def assert_noticed(self, skipped_syncs: str) -> None:
        """
        Check that some power cut shows that the syncs are missing.

        Args:
            skipped_syncs: a regular expression; see ``LossySystem``.
        """
        with self.stories(_MOST_STORIES, skipped_syncs) as stories:
            if not any(story.wrong for story in stories):
                self.fail(f"{_MOST_STORIES} archives survived their power cuts without {skipped_syncs}")

    def test_cuts(self) -> None:
        """
        After each cut, the model is as before the last act or as after it, and nothing is left behind.
        """
        acknowledged = 0
        with self.stories(_STORIES) as stories:
            for number, story in enumerate(stories):
                self.assertEqual(story.wrong, [], number)
                acknowledged += story.acknowledged
        self.assertGreater(acknowledged, _STORIES)

    def test_no_sync_of_the_journal(self) -> None:
        """
        A move of an alias is synced before it is acknowledged.
        """
        self.assert_noticed(r"sync_data m/\.aliases")

    def test_no_sync_of_files(self) -> None:
        """
        The content of a file is synced before the file gets its name.
        """
        self.assert_noticed(r"fsync m/\.new-.*")

    def test_no_sync_of_the_folder(self) -> None:
        """
        The model's folder is synced after a version was deleted, and before one is committed.
        """
        self.assert_noticed("fsync m")
