"""
Tests of which versions are evicted, and of the log's lines about it.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from twisted.logger import LogLevel, capturedLogs, formatEvent

from tests.support.registry import BUDGET, PumpedRegistryCase
from twisted_registry.domain.errors import StorageFailure, UnknownVersion

MOST = BUDGET.max_items


class EvictionCase(PumpedRegistryCase):
    """
    Models that share a budget of four versions.
    """

    def setUp(self) -> None:
        """
        Make more models than there is room for the latest version of each, and read the log.
        """
        super().setUp()
        self.model_ids = [f"m{number}" for number in range(MOST + 4)]
        for model_id in self.model_ids:
            self.save(model_id)
        self.events = self.enterContext(capturedLogs())

    def warnings(self) -> list[str]:
        """
        Return the warnings in the log.
        """
        return [formatEvent(event) for event in self.events if event["log_level"] is LogLevel.warn]

    def latest(self) -> dict[str, int]:
        """
        Return the number of the latest version of each model that has one.
        """
        numbers = {model_id: self.numbers(model_id) for model_id in self.model_ids}
        return {model_id: found[-1] for model_id, found in numbers.items() if found}


class EvictionTests(EvictionCase):
    """
    Evictions by default.
    """

    def test_one_model_evicts_no_other(self) -> None:
        """
        However many versions a model gets, all others keep their latest, and nothing is logged or counted.
        """
        others = self.model_ids[: MOST - 1]
        for model_id in others:
            self.create(b"x" * (BUDGET.max_bytes // MOST), model_id)
        for _ in range(50):
            self.create(b"x" * (BUDGET.max_bytes // MOST), "m7")
        self.assertEqual(self.latest(), {**dict.fromkeys(others, 1), "m7": 50})
        self.assertEqual((self.registry.evicted_latest(), self.warnings()), (0, []))

    def test_latest_of_too_many_models(self) -> None:
        """
        With more models than items, each evicted latest version is counted and logged with the setting to raise.
        """
        for model_id in self.model_ids[: MOST + 1]:
            self.create(b"x", model_id)
        self.assertEqual(list(self.latest()), self.model_ids[1 : MOST + 1])
        self.assertEqual(self.registry.evicted_latest(), 1)
        (line,) = self.warnings()
        for part in ("'m0'", "raise --version-cache-max-items"):
            self.assertIn(part, line)

    def test_latest_of_too_large_models(self) -> None:
        """
        If bytes are short, the log names that setting.
        """
        for model_id in ("m0", "m1"):
            self.create(b"x", model_id)
        self.create(b"x" * BUDGET.max_bytes, "m2")
        self.assertEqual(self.latest(), {"m2": 1})
        self.assertEqual(self.registry.evicted_latest(), 2)
        (line,) = self.warnings()
        self.assertIn("raise --version-cache-max-bytes", line)

    def test_logged_once_a_minute(self) -> None:
        """
        The log has one line per minute, with the number since the last one; the count has all.
        """
        for model_id in self.model_ids[: MOST + 3]:
            self.create(b"x", model_id)
        self.clock.advance(59)
        self.create(b"x", self.model_ids[-1])
        self.assertEqual(len(self.warnings()), 1)
        self.clock.advance(1)
        self.create(b"x", self.model_ids[0])
        first, second = self.warnings()
        self.assertNotIn("more since", first)
        self.assertIn("(3 more since the last line; 4 models in all)", second)
        self.assertEqual(self.registry.evicted_latest(), 5)

    def test_archived_latest(self) -> None:
        """
        If the latest version of a model is archived, neither its copy nor an older version counts.
        """
        self.create(b"x", "m0")
        self.create(b"x", "m0", archived=True)
        for model_id in self.model_ids[1 : MOST + 1]:
            self.create(b"x", model_id)
        self.assertEqual(self.numbers("m0"), [2])
        self.assertEqual((self.registry.evicted_latest(), self.warnings()), (0, []))

    def test_deleted_model(self) -> None:
        """
        Versions that go with their model are not evicted.
        """
        self.create(b"x", "m0")
        self.done(self.registry.delete_model("m0"))
        self.assertEqual(self.registry.evicted_latest(), 0)

    def test_one_version_that_is_read_all_the_time(self) -> None:
        """
        A client that reads one version very often does not make the others seem unused.
        """
        infos = {model_id: self.create(b"x", model_id) for model_id in self.model_ids[:MOST]}
        self.read(infos["m0"])
        download = self.registry.download
        for _ in range(20_000):
            download(self.snapshot("m1"), infos["m1"]).close()
        self.create(b"x", "m7")
        self.assertEqual(self.read(infos["m0"]), b"x")
        self.assertRaises(UnknownVersion, self.registry.download, self.snapshot("m2"), infos["m2"])


class KeptPerModelTests(EvictionCase):
    """
    Evictions if the newest two of each model stay longest.
    """

    options: ClassVar[Mapping[str, Any]] = {"keep_per_model": 2}

    def test_fast_trainer(self) -> None:
        """
        However many versions a model gets, another one keeps its newest two, and so does this one.
        """
        for _ in range(3):
            self.create(b"x", "m0")
        for _ in range(20):
            self.create(b"x", "m7")
        self.assertEqual((self.numbers("m0"), self.numbers("m7")), ([2, 3], [19, 20]))

    def test_latest_before_second(self) -> None:
        """
        No model loses its latest version while another has two.
        """
        for model_id in ("m0", "m0", "m1", "m1", "m2", "m3"):
            self.create(b"x", model_id)
        self.assertEqual([self.numbers(f"m{number}") for number in range(4)], [[2], [2], [1], [1]])
        self.assertEqual(self.registry.evicted_latest(), 0)

    def test_archived_ones_count(self) -> None:
        """
        The newest two include archived versions, which need no memory.
        """
        self.create(b"x", "m0")
        self.create(b"x", "m0")
        self.create(b"x", "m0", archived=True)
        for _ in range(20):
            self.create(b"x", "m7")
        self.assertEqual(self.numbers("m0"), [2, 3])

    def test_after_a_deletion(self) -> None:
        """
        If one of the newest two is deleted, the next one takes its place.
        """
        for _ in range(3):
            self.create(b"x", "m0")
        self.done(self.registry.delete_version(self.snapshot("m0"), 3))
        for _ in range(20):
            self.create(b"x", "m7")
        self.assertEqual(self.numbers("m0"), [1, 2])

    def test_promoted(self) -> None:
        """
        A version that is pinned while it is archived, and superseded meanwhile, stays on the archive.
        """
        self.create(b"x", "m0")
        promotion = self.registry.archive_version(self.snapshot("m0"), 1)
        for _ in range(3):
            self.create(b"x", "m0")
        self.done(promotion)
        for _ in range(20):
            self.create(b"x", "m7")
        self.assertEqual(self.numbers("m0"), [1, 3, 4])


class ArchivedInsteadTests(EvictionCase):
    """
    Latest versions that are archived instead of being evicted.
    """

    options: ClassVar[Mapping[str, Any]] = {"archive_evicted_latest": True}

    def setUp(self) -> None:
        """
        Reserve numbers for all models, so that later commits need no disk.
        """
        super().setUp()
        for model_id in self.model_ids:
            self.create(b"x", model_id)
            self.done(self.registry.delete_version(self.snapshot(model_id), 1))

    def test_archived(self) -> None:
        """
        With more models than items, none loses its latest version: those that leave memory are archived, also after a
        restart, and nothing is counted or logged.
        """
        infos = [self.create(model_id.encode(), model_id) for model_id in self.model_ids]
        self.assertEqual(self.latest(), dict.fromkeys(self.model_ids, 2))
        self.assertEqual([self.read(info) for info in infos], [model_id.encode() for model_id in self.model_ids])
        self.assertLessEqual(self.registry.usage().items, MOST)
        self.assertEqual((self.registry.evicted_latest(), self.warnings()), (0, []))
        archived = [model_id for model_id in self.model_ids if not self.snapshot(model_id).numbers.is_transient(2)]
        self.assertEqual(archived, self.model_ids[:-MOST])
        self.open()
        self.assertEqual(list(self.done(self.registry.load_snapshot("m0")).numbers), [2])

    def test_read_meanwhile(self) -> None:
        """
        A version that leaves memory is read from there until it is archived.
        """
        info = self.create(b"first", "m0")
        for model_id in self.model_ids[1:MOST]:
            self.create(b"x", model_id)
        committing = self.upload(b"x", self.model_ids[MOST]).commit()
        self.reactor.pump()
        self.successResultOf(committing)
        self.assertGreater(len(self.disk), 0)
        before = self.snapshot("m0")
        self.assertTrue(before.numbers.is_transient(2))
        download = self.registry.download(before, info)
        self.assertEqual([bytes(chunk.data) for chunk in download.at_once() or ()], [b"first"])
        self.pump()
        self.assertFalse(self.snapshot("m0").numbers.is_transient(2))
        # Also for a caller that still has the earlier snapshot.
        after = self.registry.download(before, info)
        self.assertEqual(b"".join(bytes(chunk.data) for chunk in self.chunks(after)), b"first")

    def test_superseded_meanwhile(self) -> None:
        """
        A version that waits to be archived is evicted if a newer one comes.
        """
        for model_id in self.model_ids[:MOST]:
            self.create(b"x", model_id)
        uploads = [self.upload(b"x", model_id) for model_id in (*self.model_ids[MOST : MOST + 2], "m1")]
        commits = [upload.commit() for upload in uploads]
        self.pump()
        for commit in commits:
            self.successResultOf(commit)
        self.assertEqual((self.numbers("m0"), self.numbers("m1")), ([2], [3]))
        self.assertEqual(self.registry.evicted_latest(), 0)

    def test_failing_archive(self) -> None:
        """
        If the archive fails, the version is evicted, counted and logged with the reason.
        """
        self.patch(self.archive, "create_version", self.fail_to_create)
        for model_id in self.model_ids[: MOST + 1]:
            self.create(b"x", model_id)
        self.assertNotIn("m0", self.latest())
        self.assertEqual(self.registry.evicted_latest(), 1)
        self.assertIn("cannot be archived", "".join(self.warnings()))

    def fail_to_create(self, model_id: str) -> Any:
        """
        Fail like an archive whose disk is gone.
        """
        raise StorageFailure("a test says so")

    def test_commits_wait(self) -> None:
        """
        While much data waits for the archive, commits of transient versions wait as well, and go on afterwards.
        """
        size_bytes = BUDGET.max_bytes // MOST
        for model_id in self.model_ids[:MOST]:
            self.create(b"x" * size_bytes, model_id)
        uploads = [self.upload(b"x" * size_bytes, model_id) for model_id in self.model_ids[MOST : MOST + 2]]
        first, second = (upload.commit() for upload in uploads)
        self.reactor.pump()
        self.successResultOf(first)
        self.assertNoResult(second)
        self.done(second)
        self.assertEqual(len(self.latest()), MOST + 2)

    def test_deleted_meanwhile(self) -> None:
        """
        A version that is deleted while it leaves memory is neither archived nor counted.
        """
        for model_id in self.model_ids[:MOST]:
            self.create(b"x", model_id)
        commit = self.upload(b"x", self.model_ids[MOST]).commit()
        deletion = self.registry.delete_version(self.snapshot("m0"), 2)
        self.pump()
        self.successResultOf(commit)
        self.successResultOf(deletion)
        self.assertEqual(self.numbers("m0"), [])
        self.assertEqual((self.registry.evicted_latest(), self.warnings()), (0, []))

    def test_close(self) -> None:
        """
        The registry closes when everything that has left memory is archived.
        """
        for model_id in self.model_ids[:MOST]:
            self.create(b"x", model_id)
        commit = self.upload(b"x", self.model_ids[MOST]).commit()
        closing = self.registry.close()
        self.pump()
        self.successResultOf(commit)
        self.successResultOf(closing)
        self.assertEqual(list(self.medium.models["m0"].versions), [2])
