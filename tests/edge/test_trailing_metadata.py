"""
Tests for the trailing metadata of calls.
"""

import os
from typing import Any, ClassVar

import grpc
import xxhash
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from tests.support.client import body, data_hash, header
from tests.support.edge import EdgeTestCase, SharedEdgeTestCase
from twisted_registry.protocol.messages import api

DATA = os.urandom(10_000_000)


def trailing_metadata_of(call: Any) -> dict[str, Any]:
    """
    Return the trailing metadata of a call.
    """
    return {key: value for key, value in call.trailing_metadata() if not key.startswith("grpc-")}


class DataTests(SharedEdgeTestCase):
    """
    Calls that transfer data.
    """

    def expected(self, data: bytes) -> dict[str, str]:
        """
        Return the expected trailing metadata for data.
        """
        return {"twisted-registry-checksum": f"{len(data)} {data_hash(data)} {xxhash.xxh3_128_hexdigest(data)}"}

    def test_data_sent(self) -> None:
        """
        Replies with data end with its size, its SHA-256 and its XXH3: also if it is read from the archive, for the
        first time or again, or from a copy in memory.
        """
        self.client.save_model(self.model_id)
        cases = [(DATA, False), (DATA, True), (b"", False), (b"", True)]
        for number, (data, archived) in enumerate(cases, 1):
            self.client.create(self.model_id, data, archived=archived)
            for selector in (number, -1, number):
                request = api.RetrieveVersionDataRequest(model_id=self.model_id, version_number=selector)
                call = self.client.call("RetrieveVersionData", request)
                self.assertEqual(b"".join(chunk.data_chunk for chunk in call), data)
                self.assertEqual(trailing_metadata_of(call), self.expected(data))

    def test_data_received(self) -> None:
        """
        The reply to a creation has the same values.
        """
        self.client.save_model(self.model_id)
        for archived in (False, True):
            messages = [header(self.model_id, 4, archived=archived), body(b"data")]
            call = self.client.begin("CreateVersion", iter(messages))
            call.result()
            self.assertEqual(trailing_metadata_of(call), self.expected(b"data"))


class ArchiveTests(EdgeTestCase):
    """
    A daemon without memory for copies of archived versions.
    """

    flags: ClassVar = ["--version-cache-max-bytes", "1", "--sent-model-version-data-chunk-size", "1000000"]

    def test_each_read(self) -> None:
        """
        Each read from the archive has the XXH3: the first one, which is hashed, and later ones, whose chunks are
        compared.
        """
        self.client.save_model("walker")
        for number, data in enumerate((DATA, b""), 1):
            self.client.create("walker", data, archived=True)
            for _ in range(3):
                call = self.client.call(
                    "RetrieveVersionData", api.RetrieveVersionDataRequest(model_id="walker", version_number=number)
                )
                self.assertEqual(b"".join(chunk.data_chunk for chunk in call), data)
                _, _, digest = trailing_metadata_of(call)["twisted-registry-checksum"].split()
                self.assertEqual(digest, xxhash.xxh3_128_hexdigest(data))


class ErrorTests(SharedEdgeTestCase):
    """
    Calls that fail.
    """

    def test_error_info(self) -> None:
        """
        A refused call reports its error and the facts as google.rpc.ErrorInfo.
        """
        self.client.save_model(self.model_id)
        with self.assertRaises(grpc.RpcError) as caught:
            self.client.data(self.model_id, 7)
        error: Any = caught.exception
        status = Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
        self.assertEqual((status.code, status.message), (grpc.StatusCode.NOT_FOUND.value[0], error.details()))
        info = ErrorInfo()
        self.assertTrue(status.details[0].Unpack(info))
        self.assertEqual((info.domain, info.reason), ("twisted-registry", "UNKNOWN_VERSION"))
        self.assertEqual(dict(info.metadata), {"model_id": self.model_id, "selector": "7"})

    def test_hostile_facts_fit_the_metadata(self) -> None:
        """
        The trailing metadata of an error stays small enough, whatever the client sends.
        """
        request = api.CreateOrUpdateModelRequest(model_info=api.ModelInfo(model_id="\u20ac\n" * 100_000))
        self.assert_refused(
            grpc.StatusCode.INVALID_ARGUMENT, lambda: self.client.call("CreateOrUpdateModel", request), "model's id"
        )
