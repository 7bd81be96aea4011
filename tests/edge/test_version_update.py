"""
Tests of VersionUpdate: the messages of its streams, and how these end.
"""

from functools import partial
from itertools import pairwise
from typing import Any, ClassVar

import grpc

from tests.support.client import Client, Info
from tests.support.edge import EdgeTestCase, SharedEdgeTestCase


def next_info(stream: Any) -> Info:
    """
    Wait for the next update of a stream.
    """
    return next(stream).version_info


class UpdateTests(SharedEdgeTestCase):
    """
    The messages of a stream.
    """

    def setUp(self) -> None:
        """
        Make the test's model.
        """
        super().setUp()
        self.client.save_model(self.model_id)

    def create(self, data: bytes = b"data", **fields: Any) -> Info:
        """
        Create a version of the test's model.
        """
        return self.client.create(self.model_id, data, **fields)

    def subscribe(self) -> Any:
        """
        Subscribe to the test's model for the length of the test.
        """
        stream = self.client.updates(self.model_id)
        self.addCleanup(stream.cancel)
        return stream

    def test_latest_at_once(self) -> None:
        """
        A new stream begins with the latest version's info, and no older one.
        """
        self.create()
        latest = self.create(user_data={"step": "2"})
        self.assertEqual(next_info(self.subscribe()), latest)

    def test_newer_ones(self) -> None:
        """
        A stream sends each version when it is committed.
        """
        first = self.create()
        stream = self.subscribe()
        self.assertEqual(next_info(stream), first)
        for number in range(2, 10):
            self.assertEqual(self.create(b"x" * number), next_info(stream))

    def test_archived_and_transient(self) -> None:
        """
        Archived and transient versions are sent just as CreateVersion returned them.
        """
        first = self.create(archived=True)
        stream = self.subscribe()
        self.assertEqual(next_info(stream), first)
        for archived in (False, True, False):
            self.assertEqual(self.create(archived=archived), next_info(stream))

    def test_before_the_first_version(self) -> None:
        """
        A subscriber of a model without versions gets the first one.
        """
        stream = self.subscribe()
        self.wait_for_subscribers(1)
        self.assertEqual(self.create(), next_info(stream))

    def test_every_subscriber(self) -> None:
        """
        All subscribers of a model get a new version, and those of other models do not.
        """
        self.client.save_model(f"{self.model_id}-other")
        first, other = self.create(), self.client.create(f"{self.model_id}-other", b"")
        streams = [self.subscribe() for _ in range(20)]
        bystander = self.client.updates(f"{self.model_id}-other")
        self.addCleanup(bystander.cancel)
        for stream in streams:
            self.assertEqual(next_info(stream), first)
        self.assertEqual(next_info(bystander), other)
        second = self.create()
        for stream in streams:
            self.assertEqual(next_info(stream), second)
        self.assertEqual(self.client.create(f"{self.model_id}-other", b"second"), next_info(bystander))

    def test_unknown_model(self) -> None:
        """
        A stream for an unknown model ends with NOT_FOUND.
        """
        self.assert_refused(grpc.StatusCode.NOT_FOUND, lambda: next(self.client.updates("nobody")), "nobody")

    def test_not_a_message(self) -> None:
        """
        A request that is not a VersionUpdateRequest ends with INVALID_ARGUMENT.
        """
        self.assert_refused(
            grpc.StatusCode.INVALID_ARGUMENT, lambda: next(self.client.call("VersionUpdate", b"\xff")), "bytes"
        )

    def test_deleted(self) -> None:
        """
        DeleteModel ends the model's streams with NOT_FOUND, also those that wait for a first version.
        """
        empty = self.subscribe()
        self.wait_for_subscribers(1)
        self.client.delete_model(self.model_id)
        self.assert_refused(grpc.StatusCode.NOT_FOUND, lambda: next(empty), self.model_id)

    def test_deleted_and_made_again(self) -> None:
        """
        The streams of a deleted model end also if it is created again at once, and send nothing about the new one.
        """
        for _ in range(20):
            self.create()
            streams = [self.subscribe() for _ in range(5)]
            for stream in streams:
                next(stream)
            self.client.delete_model(self.model_id)
            self.client.save_model(self.model_id)
            self.create(b"of the new one")
            for stream in streams:
                self.assert_refused(grpc.StatusCode.NOT_FOUND, partial(next, stream), self.model_id)


class SlowReaderTests(EdgeTestCase):
    """
    A reader that is slower than the writer.
    """

    VERSIONS = 200

    def test_newest_only(self) -> None:
        """
        A reader that stalls gets few of the versions that it missed, with rising numbers, and the last one at the end.
        """
        self.client.save_model("m")
        reader = self.connect()
        stream = reader.updates("m")
        # Large enough for flow control to stop the stream long before all are sent.
        padding = {"padding": "x" * 200_000}
        first = self.client.create("m", b"", user_data=padding)
        self.assertEqual(next_info(stream), first)
        for _ in range(self.VERSIONS):
            last = self.client.create("m", b"", user_data=padding)
        numbers = [1]
        while numbers[-1] < last.version_number:
            numbers.append(next_info(stream).version_number)
        self.assertTrue(all(earlier < later for earlier, later in pairwise(numbers)), numbers)
        self.assertLess(len(numbers), self.VERSIONS // 4, numbers)
        self.assertEqual(next_info_after(self.client, stream), last.version_number + 1)


def next_info_after(client: Client, stream: Any) -> int:
    """
    Create one more version, and return the next number that is sent.
    """
    client.create("m", b"")
    return int(next_info(stream).version_number)


class EvictedTests(EdgeTestCase):
    """
    The latest version may be evicted.
    """

    flags: ClassVar = ["--version-cache-max-items", "1"]

    def setUp(self) -> None:
        """
        Create two models: a version of one evicts that of the other.
        """
        super().setUp()
        for model_id in ("m", "other"):
            self.client.save_model(model_id)

    def evict(self) -> None:
        """
        Evict the model's only transient version.
        """
        self.client.create("other", b"other")

    def test_nothing_left(self) -> None:
        """
        If the only version was evicted, a new stream waits for the next one, whose number was not used before.
        """
        self.client.create("m", b"evicted")
        self.evict()
        self.assertEqual(list(self.client.infos("m").version_infos), [])
        stream = self.client.updates("m")
        self.wait_for_subscribers(1)
        self.assertEqual(self.client.create("m", b"next"), next_info(stream))
        self.assertEqual(self.client.latest("m").version_number, 2)

    def test_older_one_left(self) -> None:
        """
        If the latest was evicted, a new stream begins with the latest that exists; older streams continue with newer
        versions.
        """
        archived = self.client.create("m", b"archived", archived=True)
        evicted = self.client.create("m", b"evicted")
        before = self.client.updates("m")
        self.assertEqual(next_info(before), evicted)
        self.evict()
        after = self.client.updates("m")
        self.assertEqual(next_info(after), archived)
        newest = self.client.create("m", b"newest")
        self.assertEqual([next_info(before), next_info(after)], [newest, newest])


class DamagedTests(EdgeTestCase):
    """
    The latest version may be damaged.
    """

    def test_damaged_latest(self) -> None:
        """
        If the latest is damaged, a new stream does not pass an older one off as the latest, but waits for a newer one.
        """
        self.client.save_model("m")
        self.client.create("m", b"whole", archived=True)
        self.client.create("m", b"damaged", archived=True)
        self.assertEqual(self.daemon.stop(), 0)
        (self.archive / "m" / "m-v000002.data").write_bytes(b"short")
        self.daemon = self.start_daemon()
        self.client = self.connect()
        self.assert_refused(grpc.StatusCode.DATA_LOSS, lambda: self.client.latest("m"), "version 2")
        stream = self.client.updates("m")
        self.wait_for_subscribers(1)
        self.assertEqual(self.client.create("m", b"newer"), next_info(stream))
        self.wait_until_logged("damage in the archive")
