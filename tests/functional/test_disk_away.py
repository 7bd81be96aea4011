"""
A daemon whose disk gives nothing for a while, as a network file system does when its server is away.
"""

import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from grpc import StatusCode

from tests.support.archive_files import write_model, write_version
from tests.support.daemon import TIMEOUT_SECONDS, Daemon
from tests.support.holds import DATA
from tests.support.registry_case import RegistryTestCase
from twisted_registry.client import BlockingClient


class DiskAwayTests(RegistryTestCase):
    """
    Two models of two versions each, of which nothing is in memory.
    """

    def prepare(self) -> None:
        """
        Lay out the models, and have the daemon find the archive whose disk fails on demand.
        """
        for model_id in ("m", "n"):
            folder = write_model(self.archive, model_id)
            for number in (1, 2):
                write_version(folder, number, b"data of %d" % number)
        self.control = self.directory / "errno"
        shutil.copytree(DATA / "refusing_provider", self.directory / "plugins")
        self.pool = ThreadPoolExecutor(1)
        # Not waited for: in a failed test, the event that ends it may never happen.
        self.addCleanup(self.pool.shutdown, wait=False)

    def make_daemon(self, *flags: str) -> Daemon:
        """
        Make a daemon on that archive.
        """
        archive = f"refusing:{self.archive}:{self.control}"
        environment = {"PYTHONPATH": str(self.directory / "plugins")}
        return Daemon(self.directory, ["--archive", archive, *flags], environment, is_forked=self.is_forked)

    def test_nothing_is_empty_or_damaged(self) -> None:
        """
        Every call is unavailable, including lists; afterwards everything is back, and numbers continue.
        """
        self.control.write_text("reading ESTALE")
        for call in (
            self.client.models,
            partial(self.client.models, "m"),
            partial(self.client.infos, "m"),
            partial(self.client.infos, "m", -1),
            partial(self.client.data, "m", 1),
            partial(self.client.create, "m", b"more", archived=True),
            partial(self.client.create, "m", b"more"),
        ):
            self.assert_refused(StatusCode.UNAVAILABLE, call, "Stale file handle", "try again")
        self.wait_until_logged("Stale file handle")
        self.control.unlink()
        self.assertEqual([model.model_id for model in self.client.models().model_infos], ["m", "n"])
        self.assertEqual([info.version_number for info in self.client.infos("m").version_infos], [1, 2])
        self.assertEqual(self.client.data("m", -1), b"data of 2")
        self.assertEqual(self.client.create("m", b"more", archived=True).version_number, 3)

    def test_versions_of_a_known_model(self) -> None:
        """
        If the versions are known and their infos cannot be read, no list is shorter.
        """
        self.client.infos("m", -1)
        self.control.write_text("reading ETIMEDOUT")
        self.assert_refused(StatusCode.UNAVAILABLE, partial(self.client.infos, "m"), "version 1 of model 'm'")
        self.assert_refused(StatusCode.UNAVAILABLE, partial(self.client.data, "m", 2), "version 2 of model 'm'")
        self.control.unlink()
        self.assertEqual([info.version_number for info in self.client.infos("m").version_infos], [1, 2])

    def test_tracker(self) -> None:
        """
        A tracker waits for the disk, even if its client does not retry, and then returns the version.
        """
        self.control.write_text("reading EIO")
        client = BlockingClient(self.daemon.address, retry_seconds=0)
        self.addCleanup(client.close)
        version = self.pool.submit(lambda: next(client.track("m", data=True, wait=True)))
        self.wait_until_logged("Input/output error")
        self.control.unlink()
        self.assertEqual(version.result(TIMEOUT_SECONDS).data, b"data of 2")

    def test_client_waits(self) -> None:
        """
        The client retries for as long as its retry time allows.
        """
        self.control.write_text("reading EIO")
        client = BlockingClient(self.daemon.address, retry_seconds=TIMEOUT_SECONDS)
        self.addCleanup(client.close)
        data = self.pool.submit(client.retrieve, "m", 1)
        self.wait_until_logged("Input/output error")
        self.control.unlink()
        self.assertEqual(data.result(TIMEOUT_SECONDS), b"data of 1")
