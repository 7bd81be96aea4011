"""
Tests that clients who do everything at once are only ever refused for what they did.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

import grpc
from grpc import StatusCode

from tests.support.archive_files import temp_files
from tests.support.client import Client, body, data_hash, header
from tests.support.registry_case import RegistryTestCase
from tests.support.upload import Upload
from twisted_registry.protocol.messages import api

CLIENTS = 6
ACTS_EACH = 150
MODELS = ["m1", "m2", ".."]
ALLOWED = {StatusCode.NOT_FOUND, StatusCode.ABORTED}


class EverythingAtOnceTests(RegistryTestCase):
    """
    Few models, a small memory, and clients who make, read, give up and delete at random.
    """

    flags = (
        "--sent-model-version-data-chunk-size",
        "1000",
        "--version-cache-max-items",
        "5",
        "--version-cache-max-bytes",
        "100000",
    )

    def test_no_call_ends_otherwise_than_it_may(self) -> None:
        """
        Missing things are not found, calls on deleted ones are aborted, and all other data arrives whole; nothing is
        left behind.
        """
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(self.act_many_times, range(CLIENTS)))
        self.wait_until_true(lambda: not temp_files(self.archive), "the hidden folder is empty")

    def act_many_times(self, seed: int) -> None:
        """
        Do things at random, over a connection of one's own.
        """
        random = Random(seed)
        client = Client(self.daemon.address, **{"grpc.use_local_subchannel_pool": 1})
        acts: list[Callable[[Client, str, Random], Any]] = [
            *[self.save, self.delete, self.list_models, self.list_versions, self.give_up_upload, self.give_up_download],
            *[self.save, self.create, self.create, self.read, self.read],
        ]
        try:
            for _ in range(ACTS_EACH):
                self.act(random.choice(acts), client, random.choice(MODELS), random)
        finally:
            client.close()

    def act(self, do: Callable[[Client, str, Random], Any], client: Client, model_id: str, random: Random) -> None:
        """
        Run one operation, and check how it ends.
        """
        try:
            do(client, model_id, random)
        except grpc.RpcError as error:
            refused: Any = error
            self.assertIn(refused.code(), ALLOWED, refused.details())

    def save(self, client: Client, model_id: str, random: Random) -> None:
        """
        Create a model, or replace its metadata.
        """
        client.save_model(model_id, a=str(random.random()))

    def delete(self, client: Client, model_id: str, random: Random) -> None:
        """
        Delete a model, now and then.
        """
        if random.random() < 0.3:
            client.delete_model(model_id)

    def create(self, client: Client, model_id: str, random: Random) -> None:
        """
        Create a version.
        """
        data = random.randbytes(random.choice([0, 10, 1000, 5000, 30_000]))
        info = client.create(model_id, data, archived=random.random() < 0.4, piece_bytes=random.choice([100, 10_000]))
        self.assertEqual(info.data_hash, data_hash(data))

    def read(self, client: Client, model_id: str, random: Random) -> None:
        """
        Read a version that is there, or was.
        """
        infos = client.infos(model_id).version_infos
        numbers = [info.version_number for info in infos]
        self.assertEqual(numbers, sorted(set(numbers)))
        if infos:
            client.data(model_id, random.choice([-1, random.choice(numbers)]))

    def list_models(self, client: Client, model_id: str, random: Random) -> None:
        """
        List models.
        """
        listed = [info.model_id for info in client.models().model_infos]
        self.assertEqual(listed, sorted(set(listed)))

    def list_versions(self, client: Client, model_id: str, random: Random) -> None:
        """
        List versions from the end.
        """
        client.infos(model_id, -1, random.choice([-1, -2]))

    def give_up_upload(self, client: Client, model_id: str, random: Random) -> None:
        """
        Begin an upload, and cancel it.
        """
        first = header(model_id, 5000, archived=random.random() < 0.5)
        Upload(client, first, body(bytes(random.choice([100, 3000, 5000])))).cancel()

    def give_up_download(self, client: Client, model_id: str, random: Random) -> None:
        """
        Begin a download, and cancel it.
        """
        call = client.call("RetrieveVersionData", api.RetrieveVersionDataRequest(model_id=model_id, version_number=-1))
        next(call)
        call.cancel()
