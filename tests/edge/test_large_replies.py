"""
Tests of lists that do not fit into a message.
"""

from functools import partial
from typing import Any

from grpc import StatusCode

from tests.support.archive_files import write_model
from tests.support.client import Client, body, header
from tests.support.edge import EdgeTestCase, SharedEdgeTestCase

USER_DATA_BYTES = 250 * 1024
USER_DATA = {"notes": "x" * USER_DATA_BYTES}
ENTRIES = 300
MOST_THAT_FIT = 64 * 1024 * 1024 // (USER_DATA_BYTES + 200)


class LargeVersionListTests(EdgeTestCase):
    """
    A model with so many versions that their infos do not fit a message of 64 MiB.
    """

    flags = ("--version-cache-max-items", str(ENTRIES))

    def setUp(self) -> None:
        """
        Connect a client that accepts replies of any size.
        """
        super().setUp()
        self.client = self.connect(**{"grpc.max_receive_message_length": -1})
        self.client.save_model("m")
        self.first = header("m", 0, user_data=USER_DATA).SerializeToString()

    def create(self, count: int) -> None:
        """
        Create versions with much metadata.
        """
        for _ in range(count):
            self.client.upload(self.first, [body(b"")])

    def test_whole_or_in_pages(self) -> None:
        """
        A reply of nearly 64 MiB comes whole; a larger one is refused with the advice to ask in pages, which works, for
        a stock client too.
        """
        self.create(MOST_THAT_FIT)
        self.assertEqual(len(self.client.infos("m").version_infos), MOST_THAT_FIT)
        self.create(ENTRIES - MOST_THAT_FIT)
        every = list(range(1, ENTRIES + 1))
        for numbers, count in (([], 0), ([], ENTRIES), (every, 0), (every, ENTRIES)):
            self.assert_refused(
                StatusCode.RESOURCE_EXHAUSTED, partial(self.client.infos, "m", *numbers, count=count), "versions_count"
            )
        self.assertEqual(self.numbers_in_pages(self.client, 100), every)
        self.assertEqual(self.numbers_in_pages(self.connect(), 10), every)
        self.assertEqual(self.numbers_in_pages(self.connect(), 10, every[::-1]), every[::-1])

    def numbers_in_pages(self, client: Client, count: int, numbers: Any = ()) -> list[int]:
        """
        Read a list in pages, as advised, and return its numbers.
        """
        found, handle = [], ""
        while True:
            reply = client.infos("m", *numbers, count=count, handle=handle)
            found += [info.version_number for info in reply.version_infos]
            handle = reply.next_version_handle
            if len(reply.version_infos) < count:
                return found


class LargeModelListTests(SharedEdgeTestCase):
    """
    So many models that they do not fit a message of 64 MiB.
    """

    def prepare(self) -> None:
        """
        Create the models on disk.
        """
        for number in range(ENTRIES):
            model_id = f"m{number:03}"
            write_model(self.archive, model_id, f"model_id: {model_id}\nuser_data:\n  notes: {USER_DATA['notes']}\n")

    def test_in_pages(self) -> None:
        """
        The whole list is refused with the advice to ask in pages, which works, for a stock client too.
        """
        every = [f"m{number:03}" for number in range(ENTRIES)]
        for asked, count in (([], 0), ([], ENTRIES), (every, 0), (every, ENTRIES)):
            self.assert_refused(
                StatusCode.RESOURCE_EXHAUSTED, partial(self.client.models, *asked, count=count), "models_count"
            )
        for asked in ([], every[::-1]):
            found: list[str] = []
            while True:
                infos = self.client.models(*asked, count=10, handle=str(len(found))).model_infos
                found += [info.model_id for info in infos]
                if len(infos) < 10:
                    break
            self.assertEqual(found, asked or every)
