"""
Tests of metadata that several clients write at once.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Barrier
from typing import Any

import grpc
from twisted.trial.unittest import SynchronousTestCase

from tests.support.client import DEADLINE_SECONDS
from tests.support.fake_server import FakeServer, failure
from twisted_registry.client import BlockingClient, errors
from twisted_registry.protocol.messages import api


class OneModel:
    """
    A registry of one model.

    Attributes:
        metadata: the model's metadata; ``None`` if there is no model.
        written: the metadata of each write, in order.
        others: what another client writes after each write; ``None`` for nothing.
    """

    def __init__(self, metadata: Mapping[str, str] | None, *others: Mapping[str, str] | None) -> None:
        self.metadata = metadata
        self.others = list(others)
        self.written: list[Mapping[str, str]] = []

    def read(self, request: bytes, context: grpc.ServicerContext) -> Any:
        """
        Answer RetrieveModels.
        """
        if self.metadata is None:
            return failure(errors.UnknownModel("walker"))(request, context)
        return api.RetrieveModelsReply(model_infos=[api.ModelInfo(model_id="walker", user_data=self.metadata)])

    def write(self, request: bytes, context: grpc.ServicerContext) -> Any:
        """
        Answer CreateOrUpdateModel.
        """
        self.metadata = dict(api.CreateOrUpdateModelRequest.FromString(request).model_info.user_data)
        self.written.append(self.metadata)
        other = self.others.pop(0) if self.others else None
        if other is not None:
            self.metadata = other
        return api.CreateOrUpdateModelReply()


class MergingTests(SynchronousTestCase):
    """
    ``ensure_model`` and ``update_model``.
    """

    def connect(self, model: OneModel, **answers: Any) -> BlockingClient:
        """
        Return a client of a registry that has a model.
        """
        calls = {"RetrieveModels": model.read, "CreateOrUpdateModel": model.write, **answers}
        server = FakeServer(None, None, **calls)
        self.addCleanup(server.stop)
        client = BlockingClient(server.address)
        self.addCleanup(client.close)
        return client

    def test_nothing_to_write(self) -> None:
        """
        If nothing is missing or changes, nothing is written.
        """
        model = OneModel({"a": "1"})
        client = self.connect(model)
        client.ensure_model("walker", {"a": "2"})
        client.ensure_model("walker")
        client.update_model("walker", {"a": "1"}, remove=["b"])
        self.assertEqual(model.written, [])

    def test_change_that_was_overwritten(self) -> None:
        """
        A change that another client has overwritten is made again, on what that client has written.
        """
        for name in ("ensure_model", "update_model"):
            model = OneModel({"a": "1"}, {"a": "1", "theirs": "2"})
            found = getattr(self.connect(model), name)("walker", {"ours": "3"})
            self.assertEqual(model.metadata, {"a": "1", "theirs": "2", "ours": "3"})
            self.assertEqual(found.metadata, model.metadata)

    def test_made_by_two(self) -> None:
        """
        So it is where two make the model at once.
        """
        model = OneModel(None, {"theirs": "2"})
        self.connect(model).ensure_model("walker", {"ours": "3"})
        self.assertEqual(model.metadata, {"theirs": "2", "ours": "3"})

    def test_overwritten_soon_after(self) -> None:
        """
        So it is with a change that clients overwrite which have read before it: of many that start at once, all pairs
        are there in the end.
        """
        model = OneModel(None)
        all_have_read = Barrier(4)
        reads = count()

        def read(request: bytes, context: grpc.ServicerContext) -> Any:
            if next(reads) < 4:
                all_have_read.wait(DEADLINE_SECONDS)
            return model.read(request, context)

        clients = [self.connect(model, RetrieveModels=read) for _ in range(4)]
        with ThreadPoolExecutor(4) as pool:
            for number, done in enumerate(
                [pool.submit(client.ensure_model, "walker", {str(n): "x"}) for n, client in enumerate(clients)]
            ):
                self.assertEqual(done.result().metadata[str(number)], "x")
        self.assertEqual(model.metadata, {str(number): "x" for number in range(4)})

    def test_later_change_of_others(self) -> None:
        """
        If another client has set the same key after the write, its value stays.
        """
        model = OneModel({"a": "1", "b": "1"}, {"a": "3", "b": "1"})
        self.connect(model).update_model("walker", {"a": "2"}, remove=["b"])
        self.assertEqual(model.metadata, {"a": "3"})

    def test_change_that_is_always_overwritten(self) -> None:
        """
        It is not made again for ever.
        """
        model = OneModel({}, *[{"theirs": str(number)} for number in range(100)])
        self.connect(model).update_model("walker", {"ours": "3"})
        self.assertEqual(len(model.written), 8)

    def test_answer_that_was_lost(self) -> None:
        """
        If the answer to the write is lost, the client reads again: the merged metadata may be outdated.
        """
        model = OneModel({"a": "1"})

        def write(request: bytes, context: grpc.ServicerContext) -> Any:
            if model.written:
                return model.write(request, context)
            model.write(request, context)
            model.metadata = {"theirs": "2"}
            return failure(errors.Unavailable("lost"))(request, context)

        self.connect(model, CreateOrUpdateModel=write).update_model("walker", {"ours": "3"})
        self.assertEqual(model.metadata, {"theirs": "2", "ours": "3"})

    def test_damaged_model(self) -> None:
        """
        A model with unreadable metadata is not overwritten.
        """
        model = OneModel({})
        client = self.connect(model, RetrieveModels=failure(errors.CorruptModel("walker", "garbage")))
        for change in (client.ensure_model, client.update_model):
            self.assertRaises(errors.CorruptModel, change, "walker", {"a": "1"})
        self.assertEqual(model.written, [])

    def test_one_client_in_many_threads(self) -> None:
        """
        Changes that one client makes at once are all made.
        """
        model = OneModel({})
        client = self.connect(model)
        with ThreadPoolExecutor(8) as pool:
            for done in [pool.submit(client.update_model, "walker", {str(number): "x"}) for number in range(40)]:
                done.result()
        self.assertEqual(model.metadata, {str(number): "x" for number in range(40)})

    def test_not_text(self) -> None:
        """
        Metadata that is not text is refused before any call.
        """
        client = self.connect(OneModel(None))
        self.assertRaises(errors.InvalidRequest, client.ensure_model, "walker", {"a": 1})
        self.assertRaises(errors.InvalidRequest, client.update_model, "walker", {"a": 1})
        self.assertRaises(errors.InvalidModelId, client.ensure_model, "")
