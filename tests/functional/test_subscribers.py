"""
Tests of the cost of many subscribers, and of their end.
"""

import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import grpc

from tests.support.daemon import TIMEOUT_SECONDS, clean_environment
from tests.support.edge import EdgeTestCase
from tests.support.registry_case import RegistryTestCase

SUBSCRIBERS = 200

_CLIENT = """
import sys, time
from tests.support.client import Client

client = Client(sys.argv[1])
streams = [client.updates("m") for _ in range(int(sys.argv[2]))]
for stream in streams:
    next(stream)
print("subscribed", flush=True)
time.sleep(600)
"""


class SubscribersTestCase(RegistryTestCase):
    """
    Many subscribers of one model.
    """

    def setUp(self) -> None:
        """
        Make a model with a version.
        """
        super().setUp()
        self.client.save_model("m")
        self.client.create("m", b"data")

    def subscribe_apart(self) -> "subprocess.Popen[str]":
        """
        Subscribe many times, from a separate process.
        """
        client = subprocess.Popen(
            [sys.executable, "-c", _CLIENT, self.daemon.address, str(SUBSCRIBERS)],
            cwd=Path(__file__).parents[2],
            env=clean_environment({"PYTHONPATH": str(Path(__file__).parents[2])}),
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(client.wait, TIMEOUT_SECONDS)
        self.addCleanup(client.kill)
        assert client.stdout is not None
        with client.stdout:
            self.assertEqual(client.stdout.readline(), "subscribed\n")
        self.wait_for_subscribers(SUBSCRIBERS)
        return client


class SilentClientTests(SubscribersTestCase):
    """
    A daemon that soon checks silent connections.
    """

    flags = ("--keepalive-seconds", "1")

    def test_stopped_client(self) -> None:
        """
        The subscribers of a client that no longer answers are removed, although its connection is open.
        """
        client = self.subscribe_apart()
        client.send_signal(signal.SIGSTOP)
        self.wait_for_subscribers(0)


class SubscribersTests(SubscribersTestCase):
    """
    Subscribers that come and go.
    """

    def threads(self) -> int:
        """
        Count the daemon's threads.
        """
        return len(list(Path(f"/proc/{self.daemon.process.pid}/task").iterdir()))

    def test_no_thread_each(self) -> None:
        """
        Two hundred subscribers cost no thread, are all served, and are removed as soon as they cancel.
        """
        before = self.threads()
        streams = [self.client.updates("m") for _ in range(SUBSCRIBERS)]
        for stream in streams:
            next(stream)
        self.wait_for_subscribers(SUBSCRIBERS)
        # gRPC starts and ends a few itself.
        self.assertLess(self.threads() - before, 10)
        second = self.client.create("m", b"second")
        self.assertEqual([next(stream).version_info for stream in streams], [second] * SUBSCRIBERS)
        for stream in streams[1:]:
            stream.cancel()
        self.wait_for_subscribers(1)
        self.assertEqual(self.client.create("m", b"third"), next(streams[0]).version_info)

    def test_stopping_daemon(self) -> None:
        """
        When the daemon stops, streams end with UNAVAILABLE, and say why.
        """
        self.client.save_model("empty")
        streams = [self.client.updates("m") for _ in range(20)]
        for stream in streams:
            next(stream)
        streams.append(self.client.updates("empty"))
        self.wait_for_subscribers(21)
        self.daemon.ask_to_stop()
        for stream in streams:
            self.assert_refused(grpc.StatusCode.UNAVAILABLE, partial(next, stream), "stopping")
        self.assertEqual(self.daemon.wait(), 0)


class LostClientTests(SubscribersTestCase, EdgeTestCase):
    """
    Clients that go without a word.
    """

    def test_killed_client(self) -> None:
        """
        The subscribers of a killed client are removed.
        """
        client = self.subscribe_apart()
        client.kill()
        self.wait_for_subscribers(0)

    def test_disconnected_client(self) -> None:
        """
        The subscribers of a client that closes its channel are removed.
        """
        client = self.connect()
        streams = [client.updates("m") for _ in range(SUBSCRIBERS)]
        for stream in streams:
            next(stream)
        self.wait_for_subscribers(SUBSCRIBERS)
        client.close()
        self.wait_for_subscribers(0)
