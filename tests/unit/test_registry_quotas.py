"""
Tests for the quotas of what models have in memory and in the archive.
"""

from collections.abc import Mapping, Sequence
from threading import Thread
from typing import Any, ClassVar

from hypothesis import given, settings, strategies as st
from twisted.logger import LogLevel, capturedLogs, formatEvent

from tests.support.registry import PumpedRegistryCase
from twisted_registry.contracts.transient import ITransientStore, TransientBudget
from twisted_registry.domain.access import Scope
from twisted_registry.domain.aliases import AliasChange
from twisted_registry.domain.errors import QuotaExceeded
from twisted_registry.domain.events import VersionEvicted
from twisted_registry.domain.models import VersionHeader, VersionInfo
from twisted_registry.domain.quotas import Quota
from twisted_registry.registry.archive_usage import ArchiveUsage
from twisted_registry.storage.memory import MemoryStore
from twisted_registry.testing.memory_archive import MemoryMedium

A = (Scope("a/", is_prefix=True),)


class QuotaCase(PumpedRegistryCase):
    """
    Models of team a and of others, in a memory that is large enough.
    """

    def setUp(self) -> None:
        """
        Make the models.
        """
        super().setUp()
        for model_id in ("a/1", "a/2", "b/1"):
            self.save(model_id)

    def make_store(self) -> ITransientStore:
        """
        Make a memory for a thousand versions.
        """
        return MemoryStore(TransientBudget(1000, 100_000))

    def use(self, *quotas: Quota) -> None:
        """
        Replace the quotas.
        """
        self.registry.use_quotas(quotas)
        self.pump()

    def all_numbers(self) -> dict[str, list[int]]:
        """
        Return the numbers of all models' versions.
        """
        return {model_id: self.numbers(model_id) for model_id in ("a/1", "a/2", "b/1")}


class MemoryQuotaTests(QuotaCase):
    """
    Quotas of memory.
    """

    def test_own_versions_go_first(self) -> None:
        """
        A prefix that exceeds its share evicts its oldest versions, and nobody else's.
        """
        self.use(Quota("a", scopes=A, memory_bytes=300))
        self.create(b"x" * 100, "b/1")
        for _ in range(3):
            self.create(b"x" * 100, "a/1")
        self.create(b"x" * 100, "b/1")
        self.assertEqual(self.all_numbers(), {"a/1": [1, 2, 3], "a/2": [], "b/1": [1, 2]})
        self.create(b"x" * 100, "a/2")
        self.assertEqual(self.all_numbers(), {"a/1": [2, 3], "a/2": [1], "b/1": [1, 2]})
        self.create(b"x" * 201, "a/2")
        self.assertEqual(self.all_numbers(), {"a/1": [], "a/2": [2], "b/1": [1, 2]})

    def test_limit_of_versions(self) -> None:
        """
        A share may be a number of versions.  The latest of each model stay longest.
        """
        self.use(Quota("a", scopes=A, memory_versions=3))
        for model_id in ("a/1", "a/2", "a/2", "a/2", "a/2"):
            self.create(b"x", model_id)
        self.assertEqual(self.all_numbers(), {"a/1": [1], "a/2": [3, 4], "b/1": []})

    def test_exactly_the_limit(self) -> None:
        """
        A version as large as the share is kept alone; one that is a byte larger is refused before it is sent.
        """
        self.use(Quota("a", scopes=A, memory_bytes=300))
        self.create(b"x", "a/1")
        self.create(b"x" * 300, "a/2")
        self.assertEqual(self.all_numbers(), {"a/1": [], "a/2": [1], "b/1": []})
        header = VersionHeader("a/1", False, 301)
        error = self.assertRaises(QuotaExceeded, self.registry.upload, header, self.snapshot("a/1"))
        self.assertEqual((error.quota, error.limit, error.retry_after_seconds), ("a", "memory_bytes = 300", 0))
        self.create(b"x" * 301, "b/1")

    def test_each_of_several(self) -> None:
        """
        A model within several shares keeps each of them.
        """
        self.use(
            Quota("a", scopes=A, memory_versions=3),
            Quota("a1", scopes=(Scope("a/1"),), memory_bytes=2),
            Quota("all", memory_versions=4),
        )
        for model_id in ("b/1", "b/1", "a/2", "a/1", "a/1", "a/1", "a/2"):
            self.create(b"x", model_id)
        self.assertEqual(self.all_numbers(), {"a/1": [3], "a/2": [1, 2], "b/1": [2]})

    def test_copies_of_archived_versions(self) -> None:
        """
        Copies of archived versions count, and are dropped before anything else; the versions stay.
        """
        self.use(Quota("a", scopes=A, memory_versions=2))
        archived = [self.create(b"x", "a/1", archived=True) for _ in range(3)]
        self.assertEqual([*self.snapshot("a/1").held], [2, 3])
        self.create(b"x", "a/2")
        self.create(b"x", "a/2")
        self.assertEqual(([*self.snapshot("a/1").held], self.numbers("a/2")), ([], [1, 2]))
        self.assertEqual(self.read(archived[0]), b"x")
        self.assertEqual(self.all_numbers(), {"a/1": [1, 2, 3], "a/2": [1, 2], "b/1": []})

    def test_the_used_ones_stay(self) -> None:
        """
        Of versions of equal rank, the least recently used one goes first.
        """
        self.use(Quota("a", scopes=A, memory_versions=2))
        first = self.create(b"x", "a/1")
        self.create(b"x", "a/2")
        self.read(first)
        self.save("a/3")
        self.create(b"x", "a/3")
        self.assertEqual((self.numbers("a/1"), self.numbers("a/2")), ([1], []))

    def test_deletions_make_room(self) -> None:
        """
        Deleted versions and models count no more.
        """
        self.use(Quota("a", scopes=A, memory_versions=2))
        for model_id in ("a/1", "a/2"):
            self.create(b"x", model_id)
        self.done(self.registry.delete_version(self.snapshot("a/1"), 1))
        self.create(b"x", "a/2")
        self.assertEqual(self.numbers("a/2"), [1, 2])
        self.done(self.registry.delete_model("a/2"))
        for _ in range(2):
            self.create(b"x", "a/1")
        self.assertEqual(self.numbers("a/1"), [2, 3])

    def test_reload(self) -> None:
        """
        Quotas that come later count what is there, and a lower limit is kept from the next version on.
        """
        for model_id in ("a/1", "a/1", "a/2", "b/1", "a/1"):
            self.create(b"x", model_id)
        self.use(Quota("a", scopes=A, memory_versions=2))
        self.assertEqual(self.all_numbers(), {"a/1": [1, 2, 3], "a/2": [1], "b/1": [1]})
        self.create(b"x", "b/1")
        self.assertEqual(self.numbers("a/1"), [1, 2, 3])
        self.create(b"x", "a/2")
        self.assertEqual(self.all_numbers(), {"a/1": [3], "a/2": [2], "b/1": [1, 2]})
        self.use()
        self.create(b"x", "a/2")
        self.assertEqual(self.numbers("a/2"), [2, 3])

    def test_events_and_log(self) -> None:
        """
        Evictions are published and logged, with the quota as the reason.
        """
        events = self.enterContext(capturedLogs())
        evictions: list[VersionEvicted] = []
        self.registry.subscribe(evictions.append, VersionEvicted)
        self.use(Quota("a", scopes=A, memory_versions=1))
        for model_id in ("a/1", "a/2"):
            self.create(b"x", model_id)
        (event,) = evictions
        self.assertEqual((event.model_id, event.is_latest, event.exceeded), ("a/1", True, "quota"))
        (line,) = [formatEvent(event) for event in events if event["log_level"] is LogLevel.warn]
        self.assertIn("raise its quota", line)

    def test_a_share_that_is_being_archived(self) -> None:
        """
        While versions that are being archived fill the share, they stay, and a new one does not.
        """
        for model_id in ("a/1", "a/2"):
            self.create(b"x", model_id)
        self.use(Quota("a", scopes=A, memory_versions=1))
        upload = self.upload(b"y", "a/2")
        promotion = self.registry.archive_version(self.snapshot("a/1"), 1)
        self.successResultOf(upload.commit())
        self.assertEqual(self.all_numbers(), {"a/1": [1], "a/2": [], "b/1": []})
        self.done(promotion)
        self.assertEqual((self.numbers("a/1"), [*self.snapshot("a/1").held]), ([1], [1]))


class FullShareStoreTests(QuotaCase):
    """
    Quotas of memory if evicted versions are archived.
    """

    options: ClassVar[Mapping[str, Any]] = {"archive_evicted_latest": True}

    def test_latest_is_archived(self) -> None:
        """
        A latest version that a quota evicts is archived, and stays readable meanwhile.
        """
        self.use(Quota("a", scopes=A, memory_versions=1))
        first = self.create(b"first", "a/1")
        self.create(b"x", "a/2")
        self.assertEqual(self.all_numbers(), {"a/1": [1], "a/2": [1], "b/1": []})
        self.assertFalse(self.snapshot("a/1").numbers.is_transient(1))
        self.assertEqual(self.read(first), b"first")


class ArchiveQuotaTests(QuotaCase):
    """
    Quotas of the archive.
    """

    def refused(self, size_bytes: int, model_id: str = "a/1") -> QuotaExceeded:
        """
        Return the error of an upload to the archive.
        """
        header = VersionHeader(model_id, True, size_bytes)
        error = self.assertRaises(QuotaExceeded, self.registry.upload, header, self.snapshot(model_id))
        assert isinstance(error, QuotaExceeded)
        return error

    def test_exactly_the_limit(self) -> None:
        """
        Versions fill a quota to the byte; one byte more is refused before it is sent.
        """
        self.use(Quota("a", scopes=A, archive_bytes=300))
        self.create(b"x" * 100, "a/1", archived=True)
        self.create(b"x" * 199, "a/2", archived=True)
        error = self.refused(2)
        self.assertEqual((error.quota, error.limit, error.retry_after_seconds), ("a", "archive_bytes = 300", 0))
        self.assertIn("299 bytes", str(error))
        self.create(b"x", "a/1", archived=True)
        self.refused(1)
        self.create(b"x" * 1000, "b/1", archived=True)
        self.create(b"x" * 1000, "a/1")

    def test_uploads_under_way_count(self) -> None:
        """
        An upload counts from its beginning on, and no more once it has failed.
        """
        self.use(Quota("a", scopes=A, archive_bytes=300))
        uploads = [self.upload(b"x" * 100, "a/1", archived=True) for _ in range(3)]
        self.assertIn("300 more are being written", str(self.refused(1)))
        uploads[0].abort()
        uploads[0].abort()
        self.refused(101)
        self.done(uploads[1].commit())
        uploads[2].abort()
        self.create(b"x" * 200, "a/2", archived=True)
        self.refused(1)

    def test_hundred_at_once(self) -> None:
        """
        Of a hundred uploads that begin at once, in several threads, as many as fit are accepted.
        """
        usage = ArchiveUsage()
        usage.replace([Quota("a", scopes=A, archive_bytes=1000)], [])
        accepted: list[object] = []

        def reserve() -> None:
            for _ in range(10):
                try:
                    accepted.append(usage.reserve("a/1", 30))
                except QuotaExceeded:
                    return

        threads = [Thread(target=reserve) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(accepted), 33)

    def test_every_way_into_the_archive(self) -> None:
        """
        A promotion and an alias that archives a version count, too.
        """
        self.use(Quota("a", scopes=A, archive_bytes=250))
        for _ in range(3):
            self.create(b"x" * 100, "a/1")
        self.done(self.registry.archive_version(self.snapshot("a/1"), 1))
        self.done(self.registry.move_alias(self.snapshot("a/1"), AliasChange("best", 2)))
        self.refused(51)
        self.fails(self.registry.archive_version(self.snapshot("a/1"), 3), QuotaExceeded)
        self.fails(self.registry.move_alias(self.snapshot("a/1"), AliasChange("best", 3)), QuotaExceeded)
        self.assertTrue(self.snapshot("a/1").numbers.is_transient(3))
        self.done(self.registry.archive_version(self.snapshot("a/1"), 1))

    def test_deletions_give_back(self) -> None:
        """
        Deleted versions and models count no more.
        """
        self.use(Quota("a", scopes=A, archive_bytes=300))
        for model_id in ("a/1", "a/1", "a/2"):
            self.create(b"x" * 100, model_id, archived=True)
        self.refused(1)
        self.done(self.registry.delete_version(self.snapshot("a/1"), 1))
        self.refused(101)
        self.done(self.registry.delete_model("a/2"))
        self.create(b"x" * 200, "a/1", archived=True)
        self.refused(1)

    def test_restart(self) -> None:
        """
        After a restart what was there counts; until it is counted, uploads are refused for the moment.
        """
        for model_id in ("a/1", "a/2", "b/1"):
            self.create(b"x" * 100, model_id, archived=True)
        self.done(self.registry.close())
        self.open()
        self.registry.use_quotas([Quota("a", scopes=A, archive_bytes=300)])
        snapshots = [self.registry.load_snapshot(model_id) for model_id in ("a/1", "a/2")]
        usage = self.registry._state.usage
        for size_bytes, retry_after_seconds in ((1, 1.0), (301, 0.0)):
            error = self.assertRaises(QuotaExceeded, usage.reserve, "a/1", size_bytes)
            self.assertEqual(error.retry_after_seconds, retry_after_seconds)
        for each in snapshots:
            self.done(each)
        self.refused(101)
        self.create(b"x" * 100, "a/1", archived=True)
        self.refused(1)

    def test_a_bug_of_the_archive(self) -> None:
        """
        A model that cannot be counted, for whatever reason, keeps no other from being counted.
        """
        for model_id in ("a/1", "a/2"):
            self.create(b"x" * 100, model_id, archived=True)
        load = self.registry._state.archive.load_versions

        def fail(model_id: str, numbers: Sequence[int]) -> object:
            if model_id == "a/1":
                raise ZeroDivisionError
            return load(model_id, numbers)

        self.patch(self.registry._state.archive, "load_versions", fail)
        self.use(Quota("a", scopes=A, archive_bytes=100))
        self.assertEqual(self.registry._state.usage.used(), {"a": 100})
        self.assertEqual(self.registry._state.usage.uncounted, [])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_promotions_wait_for_the_count(self) -> None:
        """
        A promotion waits until it is known how much is used.
        """
        self.create(b"x" * 100, "a/1", archived=True)
        self.create(b"x" * 100, "a/2")
        self.registry.use_quotas([Quota("a", scopes=A, archive_bytes=199)])
        self.fails(self.registry.archive_version(self.snapshot("a/2"), 1), QuotaExceeded)

    def test_reload(self) -> None:
        """
        Quotas that come later count what is there and what is under way; a lower one deletes nothing.
        """
        self.create(b"x" * 100, "a/1", archived=True)
        upload = self.upload(b"x" * 100, "a/1", archived=True)
        self.use(Quota("a", scopes=A, archive_bytes=300))
        self.refused(101)
        self.use(Quota("a", scopes=A, archive_bytes=1))
        self.refused(1)
        self.done(upload.commit())
        self.assertEqual(self.numbers("a/1"), [1, 2])
        self.use(Quota("a", scopes=A, archive_bytes=201), Quota("all", archive_bytes=10_000))
        self.create(b"x", "a/2", archived=True)
        self.refused(1)
        self.use()
        self.create(b"x" * 1000, "a/2", archived=True)

    def test_a_model_that_comes_again(self) -> None:
        """
        A model that was deleted and created again begins with nothing.
        """
        self.use(Quota("a", scopes=A, archive_bytes=100))
        for _ in range(3):
            self.create(b"x" * 100, "a/1", archived=True)
            self.done(self.registry.delete_model("a/1"))
            self.save("a/1")


_QUOTAS = (
    (),
    (Quota("a", scopes=A, memory_bytes=50, memory_versions=4, archive_bytes=100),),
    (Quota("a1", scopes=(Scope("a/1"),), memory_versions=2), Quota("all", memory_bytes=80, archive_bytes=200)),
)
_MODELS = st.sampled_from(["a/1", "a/2", "b/1"])


class RandomActsTests(QuotaCase):
    """
    After any acts, the accounts equal what is there.
    """

    def act(self, name: str, model_id: str, size_bytes: int) -> None:
        """
        Do something with a model, which quotas may refuse.
        """
        numbers = self.numbers(model_id)
        number = numbers[size_bytes % len(numbers)] if numbers else 1
        try:
            if name in ("create", "store"):
                self.create(b"x" * size_bytes, model_id, archived=name == "store")
            elif name == "abort":
                self.upload(b"x" * size_bytes, model_id, archived=True).abort()
                self.pump()
            elif name == "read":
                self.read_number(model_id, number)
            elif name == "archive":
                self.registry.archive_version(self.snapshot(model_id), number).addErrback(lambda failure: None)
                self.pump()
            elif name == "delete version":
                self.registry.delete_version(self.snapshot(model_id), number).addErrback(lambda failure: None)
                self.pump()
            elif name == "delete model":
                self.done(self.registry.delete_model(model_id))
                self.save(model_id)
            elif name == "quotas":
                self.use(*_QUOTAS[size_bytes % len(_QUOTAS)])
            else:
                self.restart()
        except QuotaExceeded:
            pass

    def read_number(self, model_id: str, number: int) -> None:
        """
        Read a version, if it exists.
        """
        snapshot = self.snapshot(model_id)
        if number in snapshot.numbers:
            known = self.registry.version_info(snapshot, number)
            infos = [known] if known else self.done(self.registry.load_version_infos(snapshot, [number]))
            assert isinstance(infos[0], VersionInfo)
            self.read(infos[0])

    def restart(self) -> None:
        """
        Close the registry, and open another one on its archive.
        """
        quotas = self.registry._quotas._quotas
        self.done(self.registry.close())
        self.open()
        self.use(*quotas)
        for model_id in ("a/1", "a/2", "b/1"):
            self.done(self.registry.load_snapshot(model_id))

    def check(self) -> None:
        """
        Compare the accounts with what is there, and with the limits.
        """
        state = self.registry._state
        held = {
            state.index.get(model_id).loaded.key(number): info.size_bytes
            for model_id in ("a/1", "a/2", "b/1")
            for number, info in self.snapshot(model_id).held.items()
        }
        archived = self.archived_sizes()
        for quota in self.registry._quotas._quotas:
            inside = [it for it in ("a/1", "a/2", "b/1") if any(_covers(scope, it) for scope in quota.reach)]
            stored = sum(archived[model_id] for model_id in inside)
            if quota.archive_bytes is not None:
                self.assertEqual(state.usage.used()[quota.name], stored)
            if quota.limits_memory:
                own = [size_bytes for key, size_bytes in held.items() if key.model_id in inside]
                self.assertEqual(state.transients.shares.used()[quota.name], (sum(own), len(own)))
        self.assertEqual(state.usage._reservations, set())

    def archived_sizes(self) -> dict[str, int]:
        """
        Return how many bytes each model has in the archive.
        """
        return {
            model_id: sum(
                self.archive.load_version(model_id, number).size_bytes
                for number in self.archive.version_numbers(model_id)
            )
            for model_id in ("a/1", "a/2", "b/1")
        }

    def keeps_limits(self, before: dict[str, int]) -> None:
        """
        Check that no quota is exceeded by what was added.
        """
        after = self.archived_sizes()
        for quota in self.registry._quotas._quotas:
            inside = [it for it in after if any(_covers(scope, it) for scope in quota.reach)]
            was, present = (sum(sizes[it] for it in inside) for sizes in (before, after))
            if quota.archive_bytes is not None:
                self.assertLessEqual(present, max(quota.archive_bytes, was))

    @settings(max_examples=60)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(
                    ["create"] * 4
                    + ["store"] * 3
                    + ["abort", "read", "archive", "delete version", "delete model", "quotas", "quotas", "restart"]
                ),
                _MODELS,
                st.integers(0, 60),
            ),
            max_size=25,
        )
    )
    def test_accounts(self, acts: list[tuple[str, str, int]]) -> None:
        """
        The sums that quotas are compared with are those of the versions, and no act exceeds a limit.
        """
        self.medium = MemoryMedium()
        self.archive = self.make_archive(self.medium)
        self.open()
        for model_id in ("a/1", "a/2", "b/1"):
            self.save(model_id)
        self.use(*_QUOTAS[1])
        for act in acts:
            before = self.archived_sizes()
            self.act(*act)
            self.check()
            self.keeps_limits(before)


def _covers(scope: Scope, model_id: str) -> bool:
    return model_id.startswith(scope.text) if scope.is_prefix else model_id == scope.text
