"""
Tests of the Dockerfile's last stage: what it runs, with its variables, its user, and a root that is read-only.
"""

import json
import os
import re
import shlex
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.containers import as_user, has_users, with_read_only_root
from tests.support.daemon import TWISTD, Daemon, free_port, run_command
from twisted_registry.client import BlockingClient
from twisted_registry.config.load import SETTINGS

_STAGE = (Path(__file__).parents[2] / "Dockerfile").read_text().rpartition("\nFROM ")[2].replace("\\\n", " ")


def instruction(name: str) -> str:
    """
    Return the arguments of an instruction that is there once.
    """
    (found,) = re.findall(rf"^{name} (.*)$", _STAGE, re.MULTILINE)
    return str(found)


class ImageTests(SynchronousTestCase):
    """
    A container as the image starts it.
    """

    def setUp(self) -> None:
        """
        Make the volume, and choose free ports.
        """
        self.directory = Path(self.mktemp()).absolute()
        self.data = self.directory / "data"
        self.data.mkdir(parents=True)
        self.environment = dict(each.split("=", 1) for each in shlex.split(instruction("ENV")))
        self.assertEqual(self.environment["COGMENT_MODEL_REGISTRY_ARCHIVE_DIR"], instruction("VOLUME"))
        del self.environment["PATH"]
        self.environment |= {
            "COGMENT_MODEL_REGISTRY_INTERFACE": "127.0.0.1",
            "COGMENT_MODEL_REGISTRY_PORT": "0",
            "COGMENT_MODEL_REGISTRY_HEALTH_PORT": str(free_port()),
            "COGMENT_MODEL_REGISTRY_ARCHIVE_DIR": str(self.data),
        }

    def prefix(self) -> tuple[str, ...]:
        """
        Return the command that starts others as the container's user, with a read-only root.
        """
        user, group = map(int, instruction("USER").split(":"))
        self.assertIn(f"--uid {user} ", _STAGE)
        if not has_users():
            self.skipTest("only root can start processes of other users")
        os.chown(self.data, user, group)
        return (*with_read_only_root([self.data]), *as_user(user, group))

    def test_life(self) -> None:
        """
        It starts on an empty volume, is healthy, serves, stops with status 0, and writes nothing but the volume.
        """
        program, *flags = json.loads(instruction("ENTRYPOINT"))
        self.assertEqual((program, flags), ("twistd", ["--nodaemon", "--pidfile=", "model-registry"]))
        daemon = Daemon(self.directory, (), self.environment, prefix=self.prefix())
        self.addCleanup(daemon.kill)
        daemon.start()
        self.assertEqual(run_command(self.directory, *self.health(), environment=self.environment).returncode, 0)
        with BlockingClient(daemon.address) as client:
            client.save_model("walker")
            client.store("walker", b"1")
        self.assertEqual(daemon.stop(), 0, daemon.log)
        self.assertEqual([each.name for each in self.directory.iterdir()], ["data"])
        self.assertNotEqual(run_command(self.directory, *self.health(), environment=self.environment).returncode, 0)

    def health(self) -> list[str]:
        """
        Return the command of the health check.  It runs without a shell.
        """
        words = instruction("HEALTHCHECK").partition("CMD ")[2]
        program, *arguments = json.loads(words)
        return [*self.prefix(), str(Path(TWISTD).with_name(program)), *arguments]

    def test_variables(self) -> None:
        """
        Each variable of the registry is one of its settings.
        """
        given = {name for name in self.environment if name.startswith("COGMENT_")}
        self.assertEqual(given - {setting.variable for setting in SETTINGS}, set())
