"""
A daemon whose archive a test can hold up.
"""

import shutil
from pathlib import Path

from tests.support.daemon import Daemon
from tests.support.registry_case import RegistryTestCase

DATA = Path(__file__).parents[1] / "data"


class Holds:
    """
    The test's side of the held provider in ``tests/data/held_provider``.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True)

    def hold(self, name: str) -> None:
        """
        Make calls wait from now on.
        """
        (self._folder / f"hold-{name}").touch()

    def release(self, name: str) -> None:
        """
        Let them go on.
        """
        (self._folder / f"hold-{name}").unlink(missing_ok=True)

    def fail(self, name: str) -> None:
        """
        Make calls fail from now on, with an error that no archive may raise.
        """
        (self._folder / f"fail-{name}").touch()

    def entered(self, name: str) -> int:
        """
        Return how many calls were held.
        """
        return len(list(self._folder.glob(f"at-{name}-*")))

    def records(self) -> list[str]:
        """
        Return the archive's records, in order.
        """
        return [path.name.split("-", 2)[2] for path in sorted(self._folder.glob("did-*"))]


class HeldArchiveTestCase(RegistryTestCase):
    """
    A test case with a fresh daemon on a held archive for each test.
    """

    def prepare(self) -> None:
        """
        Install the plugin that offers the held archive.
        """
        self.holds = Holds(self.directory / "holds")
        shutil.copytree(DATA / "held_provider", self.directory / "plugins")

    def make_daemon(self, *flags: str) -> Daemon:
        """
        Return a daemon on the held archive that is not started yet.
        """
        archive = f"held:{self.archive}:{self.directory / 'holds'}"
        environment = {**self.environment, "PYTHONPATH": str(self.directory / "plugins")}
        flags = ("--archive", archive, *self.flags, *flags)
        return Daemon(self.directory, flags, environment, is_forked=self.is_forked)

    def wait_for_calls(self, call: str, count: int = 1) -> None:
        """
        Wait until at least a number of calls are held.
        """
        self.wait_until_true(lambda: self.holds.entered(call) >= count, f"{count} calls are at {call!r}")
