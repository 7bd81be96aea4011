"""
Tests of the command ``followers``.
"""

import json

from tests.support.cli import invoke
from tests.support.edge import SharedEdgeTestCase


class FollowersTests(SharedEdgeTestCase):
    """
    The command, while clients follow.
    """

    def setUp(self) -> None:
        """
        Make a model with a version, and follow it.
        """
        super().setUp()
        self.client.save_model(self.model_id)
        self.client.create(self.model_id, b"one")
        stream = self.client.updates(self.model_id)
        self.addCleanup(stream.cancel)
        next(stream)

    def test_lines(self) -> None:
        """
        In a pipe a follower is a line: the model, the call, who, from where, since when, the last version and when.
        """
        done = invoke(self.daemon.address, "followers", self.model_id)
        (line,) = done.stdout.splitlines()
        self.assertRegex(line, rf"^{self.model_id}\tVersionUpdate\t\tipv4:127.0.0.1:\d+\t\d+ s\t1\t\d+ s$")
        self.assertIn(line.partition("\tipv4")[0], invoke(self.daemon.address, "followers").stdout)

    def test_json(self) -> None:
        """
        In JSON it is an object.
        """
        done = invoke(self.daemon.address, "followers", self.model_id, "--json")
        (found,) = map(json.loads, done.stdout.splitlines())
        named = [
            "actor",
            "last",
            "last_ns",
            "last_number",
            "model_id",
            "peer",
            "prefix",
            "started",
            "started_ns",
            "stream",
        ]
        self.assertEqual(list(found), named)
        self.assertEqual((found["model_id"], found["last_number"], found["actor"]), (self.model_id, 1, None))
        self.assertRegex(found["started"], r"^\d{4}-.*Z$")

    def test_unknown_model(self) -> None:
        """
        An unknown model is 1, and a version in place of a model is 2.
        """
        self.assertEqual(invoke(self.daemon.address, "followers", "nobody").exit_code, 1)
        self.assertEqual(invoke(self.daemon.address, "followers", f"{self.model_id}@1").exit_code, 2)
