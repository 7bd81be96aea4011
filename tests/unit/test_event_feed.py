"""
Tests of the feed of events.
"""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.support.runtimes import DeferredRuntime
from twisted_registry.application.event_feed import MAX_AT_ONCE, MAX_BYTES, EventFeed, EventFilter, FeedEvent
from twisted_registry.domain.errors import CursorExpired, InvalidRequest, Unavailable
from twisted_registry.domain.events import ModelDeleted, ModelSaved, VersionCommitted
from twisted_registry.domain.models import ModelInfo, VersionInfo, VersionKey


class Publisher:
    """
    A registry that only publishes.
    """

    def subscribe(self, listener: Any, *kinds: object) -> None:
        """
        Record a listener.
        """
        self.publish = listener


class FeedCase(SynchronousTestCase):
    """
    A feed of three events at most.
    """

    def setUp(self) -> None:
        """
        Make it.
        """
        registry: Any = Publisher()
        self.registry = registry
        self.feed = EventFeed(DeferredRuntime(), lambda: 7, max_events=3, max_bytes=10_000)
        self.feed.follow(registry)

    def make_feed(self, max_events: int, max_bytes: int = MAX_BYTES) -> EventFeed:
        """
        Make a feed of another size, which gets the events from now on.
        """
        feed = EventFeed(DeferredRuntime(), lambda: 7, max_events=max_events, max_bytes=max_bytes)
        feed.follow(self.registry)
        return feed

    def happen(self, *model_ids: str) -> None:
        """
        Publish an event of each model.
        """
        for model_id in model_ids:
            self.registry.publish(ModelDeleted(model_id, 1))

    def take(self, watch: Any) -> list[FeedEvent]:
        """
        Return the next events of a watch, which are there.
        """
        found: list[FeedEvent] = self.successResultOf(self.ensure(watch.next()))
        return found

    def ensure(self, coroutine: Any) -> Any:
        """
        Return a Deferred of a coroutine.
        """
        return Deferred.fromCoroutine(coroutine)

    def models(self, watch: Any) -> list[str]:
        """
        Return the models of the next events of a watch.
        """
        return [event.event.model_id for event in self.take(watch)]


class FeedTests(FeedCase):
    """
    Watches read the feed, each at its own speed.
    """

    def test_from_now(self) -> None:
        """
        Without a cursor, a watch begins with the next event, and waits for it.
        """
        self.happen("a")
        with self.feed.watch(EventFilter()) as watch:
            waiting = self.ensure(watch.next())
            self.assertNoResult(waiting)
            self.happen("b")
            (event,) = self.successResultOf(waiting)
            self.assertEqual((event.event.model_id, event.happened_ns), ("b", 7))

    def test_deliveries(self) -> None:
        """
        The time from a commit until a watch was sent its event is reported; an event from before the watch, or of
        another kind, is not a delivery.
        """
        now, seen = [100], list[float]()
        feed = EventFeed(DeferredRuntime(), lambda: now[0], delivered=seen.append)
        feed.follow(self.registry)
        start = feed.cursor(0)
        committed = VersionCommitted(VersionKey("m", 1, 1), VersionInfo("m", 1, 1, False, "", 1))
        self.registry.publish(committed)
        now[0] = 200
        with feed.watch(EventFilter(), start) as watch:
            (old,) = self.take(watch)
            watch.note_sent(old)
            now[0] = 10**9
            self.registry.publish(committed)
            self.registry.publish(ModelDeleted("m", 1))
            now[0] = 3 * 10**9
            for event in self.take(watch):
                watch.note_sent(event)
            self.assertEqual(len(feed), 1)
        self.assertEqual((seen, len(feed)), ([2.0], 0))

    def test_cursor(self) -> None:
        """
        With the cursor of an event, a watch goes on after it.
        """
        with self.feed.watch(EventFilter()) as watch:
            start = watch.cursor
            self.happen("a", "b")
            first, _ = self.take(watch)
        with self.feed.watch(EventFilter(), start) as again, self.feed.watch(EventFilter(), first.cursor) as later:
            self.assertEqual(self.models(again), ["a", "b"])
            self.assertEqual(self.models(later), ["b"])

    def test_filters(self) -> None:
        """
        A watch gets the events of its model, prefix and kinds.
        """
        filters = [EventFilter("a1"), EventFilter(prefix="a"), EventFilter(kinds=frozenset(["model_updated"]))]
        watches = [self.feed.watch(each) for each in filters]
        for watch in watches:
            self.addCleanup(watch.__enter__().__exit__, None, None, None)
        self.happen("a1", "b")
        self.registry.publish(ModelSaved(ModelInfo("a2"), 1, is_new=False))
        self.assertEqual([self.models(watch) for watch in watches], [["a1"], ["a1", "a2"], ["a2"]])

    def test_expired(self) -> None:
        """
        A client that comes back too late, or reads too slowly, gets an error.
        """
        with self.feed.watch(EventFilter()) as watch:
            start = watch.cursor
            self.happen(*"abcd")
            self.failureResultOf(self.ensure(watch.next()), CursorExpired)
        with self.feed.watch(EventFilter(), start) as again:
            self.failureResultOf(self.ensure(again.next()), CursorExpired)
        self.assertRaises(CursorExpired, self.feed.watch, EventFilter(), "000000000000-1")

    def test_bounded_bytes(self) -> None:
        """
        Large events push out earlier ones, and the last one stays.
        """
        with self.feed.watch(EventFilter()) as watch:
            start = watch.cursor
        self.happen("a")
        self.registry.publish(ModelSaved(ModelInfo("large", {"key": "x" * 100_000}), 1, is_new=True))
        with self.feed.watch(EventFilter(), start) as again:
            self.failureResultOf(self.ensure(again.next()), CursorExpired)
        with self.feed.watch(EventFilter(), self.feed.cursor(1)) as last:
            self.assertEqual(self.models(last), ["large"])

    def test_at_once(self) -> None:
        """
        A client that is far behind gets the events in parts, and all of them.
        """
        feed = self.make_feed(max_events=10_000)
        with feed.watch(EventFilter(prefix="a")) as watch:
            self.happen(*["a", "b"] * 100)
            parts = [self.take(watch) for _ in range(2)]
            self.assertEqual([len(part) for part in parts], [MAX_AT_ONCE, 100 - MAX_AT_ONCE])
            self.assertEqual([event.sequence for part in parts for event in part], list(range(1, 201, 2)))
            self.assertNoResult(self.ensure(watch.next()))

    def test_malformed(self) -> None:
        """
        A malformed cursor, and one that was never sent, are refused.
        """
        with self.feed.watch(EventFilter()) as watch:
            process = watch.cursor.partition("-")[0]
        for cursor in ("x", f"{process}-", f"{process}-x", f"{process}-1", f"{process}-{'9' * 30}", "-1"):
            self.assertRaises((InvalidRequest, CursorExpired), self.feed.watch, EventFilter(), cursor)
        self.assertRaises(InvalidRequest, self.feed.watch, EventFilter(), f"{process}-1")

    def test_closed(self) -> None:
        """
        When the registry stops, watches end.
        """
        with self.feed.watch(EventFilter("a")) as watch:
            waiting = self.ensure(watch.next())
            self.assertNoResult(waiting)
            self.feed.close()
            self.failureResultOf(waiting, Unavailable)


class CheckpointTests(FeedCase):
    """
    Watches that nothing concerns get a new cursor before theirs expires.
    """

    def test_quiet(self) -> None:
        """
        A watch of a quiet model can go on after many events of others, and misses nothing.
        """
        feed = self.make_feed(max_events=100)
        for wanted in (EventFilter("quiet"), EventFilter(prefix="q"), EventFilter(kinds=frozenset(["model_created"]))):
            with feed.watch(wanted) as watch:
                for _ in range(30):
                    waiting = self.ensure(watch.next())
                    self.happen(*["other"] * 9)
                    self.assertNoResult(waiting)
                    self.happen("other")
                    self.assertEqual(self.successResultOf(waiting), [])
                cursor = watch.cursor
            self.registry.publish(ModelSaved(ModelInfo("quiet"), 1, is_new=True))
            self.happen(*["other"] * 89)
            with feed.watch(wanted, cursor) as again:
                self.assertEqual(self.models(again), ["quiet"])

    def test_large_events(self) -> None:
        """
        A new cursor comes earlier if the events are large, because fewer of them are kept.
        """
        feed = self.make_feed(max_events=10_000, max_bytes=100_000)
        with feed.watch(EventFilter("quiet")) as watch:
            waiting = self.ensure(watch.next())
            self.registry.publish(ModelSaved(ModelInfo("large", {"key": "x" * 3_000}), 1, is_new=True))
            self.assertNoResult(waiting)
            self.registry.publish(ModelSaved(ModelInfo("large", {"key": "x" * 3_000}), 1, is_new=True))
            self.assertEqual(self.successResultOf(waiting), [])

    def test_busy(self) -> None:
        """
        A watch that gets events has their cursors, and no others.
        """
        feed = self.make_feed(max_events=100)
        with feed.watch(EventFilter("a")) as watch:
            for _ in range(10):
                waiting = self.ensure(watch.next())
                self.happen(*"bbbbbbbbba")
                self.assertEqual(len(self.successResultOf(waiting)), 1)
            self.assertNoResult(self.ensure(watch.next()))

    def test_far_behind(self) -> None:
        """
        A watch that comes back gets a new cursor before it has looked at all events.
        """
        feed = self.make_feed(max_events=10_000)
        with feed.watch(EventFilter(prefix="q")) as watch:
            cursor = watch.cursor
        self.happen(*["other"] * 2_500)
        with feed.watch(EventFilter(prefix="q"), cursor) as again:
            positions = []
            for _ in range(2):
                self.assertEqual(self.take(again), [])
                positions.append(again.position)
            self.assertEqual(positions, [1000, 2000])
            self.assertNoResult(self.ensure(again.next()))
            self.assertEqual(again.position, 2500)

    def test_nothing_of_the_model(self) -> None:
        """
        A watch of one model does not look at the events of others if there is none of its model.
        """
        feed = self.make_feed(max_events=10_000)
        with feed.watch(EventFilter("quiet")) as watch:
            cursor = watch.cursor
        self.happen(*["other"] * 2_500)
        with feed.watch(EventFilter("quiet"), cursor) as again:
            self.assertEqual((self.take(again), again.position), ([], 2500))
            waiting = self.ensure(again.next())
            self.happen("other", "quiet", "other")
            self.assertEqual([it.event.model_id for it in self.successResultOf(waiting)], ["quiet"])

    def test_gone_from_the_feed(self) -> None:
        """
        The feed notes the models of the events that it has, and no others.
        """
        feed = self.make_feed(max_events=100)
        self.happen(*(f"m{number}" for number in range(1_000)), *["m999"] * 50)
        self.assertEqual(len(feed._last_of), 50)
        with feed.watch(EventFilter("m999"), feed.cursor(1_000)) as watch:
            self.assertEqual(self.models(watch), ["m999"] * 50)

    def test_spread(self) -> None:
        """
        A checkpoint wakes many watches one group after the other; those that end meanwhile, not at all.
        """
        runtime = DeferredRuntime()
        feed = EventFeed(runtime, lambda: 7, max_events=10)
        feed.follow(self.registry)
        watches = [feed.watch(EventFilter("quiet")).__enter__() for _ in range(100)]
        waiting = [self.ensure(watch.next()) for watch in watches]
        self.happen("other")
        woken = [sum(each.called for each in waiting)]
        ended = next(watch for watch, each in zip(watches, waiting, strict=True) if not each.called)
        ended.__exit__(None, None, None)
        while runtime.clock.getDelayedCalls():
            runtime.clock.advance(1)
            woken.append(sum(each.called for each in waiting))
        self.assertEqual(woken, [32, 64, 96, 99])
