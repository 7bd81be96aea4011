"""
Tests of ``twisted_registry.v1.Registry``: the data of versions, read, created and copied.
"""

from typing import Any

import grpc

from tests.support.edge import SharedEdgeTestCase
from tests.support.registry_v1 import RegistryV1
from twisted_registry.protocol.call_metadata import CHECKSUM_KEY

MIB = 2**20
DATA = bytes(range(256)) * 4096 * 3 + b"the end"
"""Three chunks of the usual size, and a bit."""


class TransferCase(SharedEdgeTestCase):
    """
    A model, and a client of the new API.
    """

    def setUp(self) -> None:
        """
        Create the model.
        """
        super().setUp()
        self.v1 = RegistryV1(self.client.channel)
        self.v1.CreateModel(model={"model_id": self.model_id})

    def at(self, version: object) -> str:
        """
        Return a reference to a version of the test's model.
        """
        return f"{self.model_id}@{version}"

    def read(self, version: object = "latest", offset: int = 0, length: int = 0) -> tuple[Any, bytes]:
        """
        Read a version; return its header and the data.
        """
        first, *rest = self.v1.ReadVersion(reference=self.at(version), offset=offset, length=length)
        self.assertEqual(first.WhichOneof("content"), "header")
        return first.header, b"".join(message.chunk for message in rest)


class ReadTests(TransferCase):
    """
    Versions that are read.
    """

    def test_whole(self) -> None:
        """
        A version is read with all that is known of it, and its checksum at the end.
        """
        self.client.create(self.model_id, DATA, archived=True)
        self.v1.SetAlias(reference=self.at(1), alias="production")
        self.v1.UpdateVersion(reference=self.at(1), version={"metrics": {"return": 1.5}})
        stream = self.v1.ReadVersion(reference=self.at("production"))
        header, *chunks = stream
        self.assertEqual(b"".join(message.chunk for message in chunks), DATA)
        self.assertEqual(header.header.version, self.v1.GetVersion(reference=self.at(1)))
        self.assertEqual(dict(header.header.version.metrics), {"return": 1.5})
        self.assertEqual(
            (header.header.encoding, header.header.offset, header.header.length), ("identity", 0, len(DATA))
        )
        trailing = dict(stream.trailing_metadata())
        self.assertEqual(trailing[CHECKSUM_KEY].split(" ")[0], str(len(DATA)))

    def test_parts(self) -> None:
        """
        A part is read from any offset on, of archived and of transient versions.
        """
        for archived in (True, False):
            number = self.client.create(self.model_id, DATA, archived=archived).version_number
            for offset, length in ((0, 1), (MIB - 1, 2), (MIB, MIB), (5, 0), (len(DATA), 0), (len(DATA) - 3, 99)):
                header, data = self.read(number, offset, length)
                expected = DATA[offset:][: length or None]
                self.assertEqual(data, expected, (archived, offset, length))
                self.assertEqual((header.offset, header.length), (offset, len(expected)))

    def test_refused(self) -> None:
        """
        An offset behind the end is OUT_OF_RANGE; what does not exist is NOT_FOUND.
        """
        self.client.create(self.model_id, b"data")
        for reference, offset, code in (
            (self.at(1), 5, grpc.StatusCode.OUT_OF_RANGE),
            (self.at(1), 2**64 - 1, grpc.StatusCode.OUT_OF_RANGE),
            (self.at(2), 0, grpc.StatusCode.NOT_FOUND),
            (self.at("production"), 0, grpc.StatusCode.NOT_FOUND),
            (f"{self.model_id}-none", 0, grpc.StatusCode.NOT_FOUND),
            ("", 0, grpc.StatusCode.INVALID_ARGUMENT),
            (f"{self.model_id}@", 0, grpc.StatusCode.INVALID_ARGUMENT),
        ):
            self.assertEqual(self.v1.fails("ReadVersion", reference=reference, offset=offset), code, reference)

    def test_huge_length(self) -> None:
        """
        A length beyond the end means all that there is.
        """
        self.client.create(self.model_id, b"data")
        header, data = self.read(1, 1, 2**64 - 1)
        self.assertEqual((data, header.length), (b"ata", 3))

    def test_sent_to_both(self) -> None:
        """
        Both services send the same messages.
        """
        self.client.create(self.model_id, DATA)
        ours = [message.chunk for message in self.v1.ReadVersion(reference=self.at(1))][1:]
        self.assertEqual(ours, list(self.client.chunks(self.model_id, 1)))
