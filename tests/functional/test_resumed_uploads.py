"""
Tests of uploads that go on after their registry, or their client, was killed.
"""

import hashlib
import subprocess
import sys
import time
from typing import Any

from tests.support.daemon import TIMEOUT_SECONDS
from tests.support.registry_case import RegistryTestCase
from tests.support.registry_v1 import RegistryV1

MIB = 2**20
SIZE = 40 * MIB
RESENT_MAX_BYTES = 8 * MIB

CLIENT = """
import sys
from itertools import chain, repeat
import grpc
from twisted_registry.protocol.messages import v1

address, size, sent = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
header = v1.CreateVersionHeader(model_id="m", archived=True, size_bytes=size, idempotency_key="a key")
data = v1.CreateVersionRequest(chunk=bytes(range(256)) * 4096).SerializeToString()

def messages():
    yield v1.CreateVersionRequest(header=header).SerializeToString()
    for _ in range(sent // 2**20):
        yield data
    print("sent", flush=True)
    sys.stdin.read()

call = grpc.insecure_channel(address).stream_unary("/twisted_registry.v1.Registry/CreateVersion", bytes, bytes)
try:
    call(messages())
except grpc.RpcError:
    pass  # the registry was killed
"""


class ResumedUploadTests(RegistryTestCase):
    """
    After 90 % of an upload, a kill costs at most 8 MiB.
    """

    def setUp(self) -> None:
        """
        Create the model.
        """
        super().setUp()
        self.v1 = RegistryV1(self.client.channel)
        self.v1.CreateModel(model={"model_id": "m"})
        self.data = bytes(range(256)) * (SIZE // 256)

    def send_most(self) -> "subprocess.Popen[bytes]":
        """
        Send 90 % of the data from another process.
        """
        arguments = [sys.executable, "-c", CLIENT, self.daemon.address, str(SIZE), str(SIZE * 9 // 10)]
        client = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(self.end, client)
        assert client.stdout is not None
        self.assertEqual(client.stdout.readline(), b"sent\n")
        return client

    def end(self, client: "subprocess.Popen[bytes]") -> None:
        """
        Kill the client, if it still runs.
        """
        client.kill()
        client.communicate()

    def wait_for_most(self) -> None:
        """
        Wait until nearly all that was sent has arrived.
        """
        self.wait_until_true(lambda: self.status().received_bytes >= SIZE * 9 // 10 - MIB, "the data arrives")

    def status(self) -> Any:
        """
        Ask how far the upload is.
        """
        return self.v1.GetUpload(model_id="m", idempotency_key="a key")

    def go_on(self, number: int = 1, sent_bytes: int = SIZE * 9 // 10) -> None:
        """
        Send the rest, and check the version, which has this number.

        Args:
            sent_bytes: how much was sent before.
        """
        offset = self.status().received_bytes
        self.assertGreaterEqual(offset, sent_bytes - RESENT_MAX_BYTES)
        version = self.v1.create(self.data, model_id="m", archived=True, idempotency_key="a key", offset=offset)
        self.assertEqual((version.number, version.sha256), (number, hashlib.sha256(self.data).digest()))
        self.assertEqual(self.client.data("m", number), self.data)
        self.assertEqual(self.left(), [])

    def left(self) -> list[str]:
        """
        Return the files of unfinished uploads.
        """
        files = [*(self.archive / "m").glob(".upload-*"), *(self.archive / ".0").glob("uploads/*")]
        return [str(path) for path in files]

    def test_client_killed(self) -> None:
        """
        The client is killed, and another one goes on.
        """
        client = self.send_most()
        self.wait_for_most()
        self.end(client)
        self.go_on()

    def test_registry_killed(self) -> None:
        """
        The registry is killed while data arrives, and goes on after its start.
        """
        self.send_most()
        self.wait_for_most()
        self.crash()
        self.v1 = RegistryV1(self.client.channel)
        self.assertEqual(len(self.left()), 2)
        self.client.create("m", b"another", archived=True)  # the folder is swept, and keeps the data
        self.go_on(2)

    def test_registry_stopped(self) -> None:
        """
        The registry is stopped while data arrives, and goes on after its start.
        """
        self.send_most()
        self.wait_for_most()
        self.restart()
        self.v1 = RegistryV1(self.client.channel)
        self.go_on()

    def test_killed_again_and_again(self) -> None:
        """
        Five kills in one upload lose nothing.
        """
        offset = 0
        for number in range(1, 6):
            upload = self.v1.begin(model_id="m", archived=True, size_bytes=SIZE, idempotency_key="a key", offset=offset)
            upload.feed(self.data[offset : number * 7 * MIB])
            deadline = time.monotonic() + TIMEOUT_SECONDS
            while self.status().received_bytes < number * 7 * MIB - 2 * MIB:
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.01)
            self.crash()
            upload.end()
            self.v1 = RegistryV1(self.client.channel)
            offset = self.status().received_bytes
        self.go_on(sent_bytes=35 * MIB)
