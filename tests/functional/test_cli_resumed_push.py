"""
Tests of pushes that were interrupted, and go on in another process.
"""

import os
import re
from pathlib import Path

from tests.support.cli import interrupt, invoke, run, started
from tests.support.daemon import wait_until
from tests.support.edge import EdgeTestCase
from tests.support.relay import Relay

_BYTES = 60_000_000
_CUT_BYTES = 40_000_000
_MOST_AGAIN_BYTES = 8 * 1024 * 1024

_GOES_ON = (
    rb"twisted-registry: interrupted: no version was created; the registry keeps (\d\d\.\d) MB of 60\.0 MB until "
    rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ, and the same push again goes on from there\n"
)


class ResumedPushTests(EdgeTestCase):
    """
    A push through a relay that stops in the middle.
    """

    def setUp(self) -> None:
        """
        Make a model, a file and a relay.
        """
        super().setUp()
        self.client.save_model("m")
        self.path = Path(self.mktemp()).absolute()
        self.path.write_bytes(os.urandom(_BYTES))
        self.relay = Relay(self.daemon.port)
        self.addCleanup(self.relay.close)

    def interrupted(self, *options: str) -> None:
        """
        Push until the relay stops, and press Ctrl-C.
        """
        self.relay.swallow_after(_CUT_BYTES)
        with started(self.relay.address, "push", *options, "m", self.path) as process:
            before = self.relay.carried_bytes
            wait_until(lambda: self.relay.carried_bytes - before >= _CUT_BYTES, "the relay has stopped")
            self.relay.carry_new()
            status, said = interrupt(process)
        self.assertEqual(status, 130)
        kept = re.fullmatch(_GOES_ON, said)
        assert kept is not None, said
        self.assertLess(_CUT_BYTES - float(kept[1]) * 1e6, _MOST_AGAIN_BYTES)

    def sent_bytes(self, *options: str) -> int:
        """
        Push, and return how many bytes were sent.
        """
        before = self.relay.carried_bytes
        done = run(self.relay.address, "push", *options, "m", self.path)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        return self.relay.carried_bytes - before

    def test_goes_on(self) -> None:
        """
        The same push sends only the rest, and the one after that creates another version.
        """
        for number, options in ((1, ()), (3, ("--archive", "-u", "epoch=7", "--label", "a=b", "--alias", "best"))):
            self.interrupted(*options)
            self.assertLess(self.sent_bytes(*options), _BYTES - _CUT_BYTES + _MOST_AGAIN_BYTES)
            self.assertEqual(self.client.data("m", number), self.path.read_bytes())
            self.assertGreater(self.sent_bytes(*options), _BYTES)
            self.assertEqual(len(self.client.infos("m").version_infos), number + 1)

    def test_another_push(self) -> None:
        """
        A push of a file that has changed, or with other metadata or labels, begins again.
        """
        self.interrupted()
        self.assertGreater(self.sent_bytes("--label", "a=b"), _BYTES)
        self.assertGreater(self.sent_bytes("-u", "epoch=7"), _BYTES)
        self.path.write_bytes(os.urandom(_BYTES))
        self.assertGreater(self.sent_bytes(), _BYTES)
        self.assertEqual(self.client.data("m", 3), self.path.read_bytes())

    def test_nothing_to_remember_with(self) -> None:
        """
        Without a place for the cache a push works, and says nothing about going on.
        """
        done = invoke(self.daemon.address, "push", "m", self.path, XDG_CACHE_HOME="/dev/null")
        self.assertEqual((done.exit_code, done.stderr), (0, ""))
