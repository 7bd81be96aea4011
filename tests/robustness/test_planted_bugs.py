"""
Tests that kills and power cuts show the bugs that are planted here.
"""

import random
import re
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.robustness.disk.archive_story import Story
from tests.robustness.disk.registry_story import RegistryStory
from tests.robustness.disk.scratch import memory_folder
from twisted_registry.domain import retention
from twisted_registry.registry import deletion
from twisted_registry.storage.filesystem.alias_journal import AliasJournals
from twisted_registry.storage.filesystem.deletion import VersionDeletion
from twisted_registry.storage.filesystem.retention import RetentionFiles
from twisted_registry.storage.filesystem.writer import FileWriter

_MOST_STORIES = 60
_KILLS = 20
_MOST_ARCHIVES = 400


class PlantedBugTests(SynchronousTestCase):
    """
    Registries with a bug that only a crash shows.
    """

    def assert_noticed(self, reported: str, skipped_syncs: str | None = None, skipped_after: str = ".*") -> None:
        """
        Check that some kill, or power cut, shows what is wrong.

        Args:
            reported: a regular expression for what must be reported.
            skipped_syncs: a regular expression; see ``LossySystem``.
            skipped_after: a regular expression; see ``LossySystem``.
        """
        with memory_folder(Path(self.mktemp())) as directory:
            for number in range(_MOST_STORIES):
                chance = random.Random(f"planted {number}")
                folder = directory / str(number)
                story = RegistryStory(chance, folder, skipped_syncs=skipped_syncs, skipped_after=skipped_after)
                story.tell(_KILLS)
                if story.promises.wrong:
                    self.assertRegex("\n".join(story.promises.wrong), reported)
                    return
        self.fail(f"{_MOST_STORIES} archives survived")

    def test_reply_before_the_move(self) -> None:
        """
        A move of an alias is stored only after its reply.
        """
        append = AliasJournals.append
        waiting: list[tuple[Any, ...]] = []

        def append_later(*arguments: Any) -> None:
            before, waiting[:] = waiting[:], [arguments]
            for each in before:
                if each[0] is arguments[0]:
                    append(*each)

        self.patch(AliasJournals, "append", append_later)
        self.assert_noticed("aliases")

    def test_no_sync_of_the_journal(self) -> None:
        """
        A move of an alias is not synced.
        """
        self.assert_noticed("aliases", r"sync_data m/\.aliases")

    def test_deletion_of_a_named_version(self) -> None:
        """
        A version that an alias names can be deleted.
        """
        self.patch(deletion, "aliases_of", lambda aliases, number: ())
        self.assert_noticed("DeleteVersion.* cannot end with None")

    def test_number_of_a_deleted_version(self) -> None:
        """
        The deletion of the highest version leaves no trace of its number.
        """
        self.patch(VersionDeletion, "_raise_mark", lambda *arguments: None)
        self.assert_noticed("numbers up to .* are used|given twice|was begun after number")

    def test_pruning_of_a_pinned_version(self) -> None:
        """
        The label of a version does not protect it from being pruned.
        """
        self.patch(retention, "_is_protected", lambda record: bool(record.aliases))
        self.assert_noticed("PruneVersion.* cannot end with None")

    def test_pruning_only_in_memory(self) -> None:
        """
        A version that was pruned is not deleted from the archive.
        """
        self.patch(VersionDeletion, "delete_all", lambda *arguments: None)
        self.assert_noticed("nobody can have created")

    def test_promotion_without_a_mark(self) -> None:
        """
        Data that was to be archived looks like that of a damaged version.
        """
        self.patch(FileWriter, "_promote", FileWriter._publish)
        self.assert_noticed("was left behind")

    def test_deletion_that_is_not_synced(self) -> None:
        """
        The renamed .yaml of a deleted version is not synced, and its data is removed.
        """
        self.assert_noticed("is damaged|nobody can have created", r"fsync m", r"rename .*\.deleted.*")


class ArchiveBugTests(SynchronousTestCase):
    """
    Archives with a bug that only a crash shows.
    """

    def assert_noticed(self, reported: str) -> None:
        """
        Check that some kill, or power cut, shows what is wrong.

        Args:
            reported: a regular expression for what must be reported.
        """
        lines: list[str] = []
        with memory_folder(Path(self.mktemp())) as directory:
            for number in range(_MOST_ARCHIVES):
                story = Story(random.Random(f"planted {number}"), directory / str(number))
                story.tell()
                lines += story.promises.wrong
                if re.search(reported, "\n".join(lines)):
                    return
        self.fail(f"{_MOST_ARCHIVES} archives survived: {lines[:5]}")

    def test_moves_one_by_one(self) -> None:
        """
        Moves that belong together are stored one by one.
        """
        append_in = AliasJournals.append_in

        def append_each(journals: AliasJournals, folder: Any, moves: Any, info: Any = None) -> None:
            for move in moves:
                append_in(journals, folder, [move], info)

        self.patch(AliasJournals, "append_in", append_each)
        self.assert_noticed("its aliases are")

    def test_moves_without_their_version(self) -> None:
        """
        The moves of a version's commit happen even if the commit does not.
        """
        append_in = AliasJournals.append_in

        def append_without(journals: AliasJournals, folder: Any, moves: Any, info: Any = None) -> None:
            append_in(journals, folder, moves)

        self.patch(AliasJournals, "append_in", append_without)
        self.assert_noticed("its aliases are")

    def test_policy_before_it_is_stored(self) -> None:
        """
        A retention policy is stored only with the next one.
        """
        save = RetentionFiles.save
        waiting: list[tuple[Any, ...]] = []

        def save_later(*arguments: Any) -> None:
            before, waiting[:] = waiting[:], [arguments]
            for each in before:
                if each[0] is arguments[0]:
                    save(*each)

        self.patch(RetentionFiles, "save", save_later)
        self.assert_noticed("its retention policy keeps")
