"""
Storage of other packages: the wheel, installed away from the checkout, with their plugins beside it.
"""

import atexit
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from functools import cache
from pathlib import Path
from typing import ClassVar

import grpc

from tests.support.client import data_hash
from tests.support.daemon import TIMEOUT_SECONDS, Daemon, clean_environment, run_command, run_twistd
from tests.support.registry_case import RegistryTestCase

ROOT = Path(__file__).parents[2]
PROVIDERS = (ROOT / "examples" / "sqlite_provider", ROOT / "tests" / "data" / "scratch_provider")

MIB = 1024 * 1024
VERSION_BYTES = 320 * MIB
"""The data in progress, in gRPC and in the archive, is some 50 to 110 MiB for any size."""


def _run(*command: str, directory: Path) -> None:
    done = run_command(directory, *command)
    assert done.returncode == 0, done.stdout + done.stderr


@cache
def installed() -> Path:
    """
    Build the wheel, install it in a directory, and copy the providers beside it; once for all tests.

    Returns:
        the additions to Python's path.
    """
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    # Of a copy: the build leaves things behind where it runs.
    hidden = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__", "*dropin.cache*", "_trial*")
    shutil.copytree(ROOT, folder / "source", ignore=hidden)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
    _run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", ".", "./source", directory=folder)
    (wheel,) = folder.glob("*.whl")
    _run(*pip, "install", "--no-deps", "--no-index", "--target", "packages", str(wheel), directory=folder)
    for provider in PROVIDERS:
        shutil.copytree(provider, folder / provider.name, ignore=hidden)
    return folder


class PluginTestCase(RegistryTestCase):
    """
    A daemon that runs from the installed wheel, and finds the providers beside it.
    """

    storage: ClassVar[dict[str, str]] = {}
    """The flags that choose the storage, and their descriptions; ``FOLDER`` is replaced by the test's folder."""

    def make_daemon(self, *flags: str) -> Daemon:
        """
        Make a daemon, not started yet.
        """
        # The wheel's folder comes first on the path, so that a file that it lacks is not taken from the checkout.
        path = os.pathsep.join(str(installed() / name) for name in ("packages", *(p.name for p in PROVIDERS)))
        chosen = [part.replace("FOLDER", str(self.directory)) for pair in self.storage.items() for part in pair]
        return Daemon(self.directory, [*chosen, *self.flags, *flags], {**self.environment, "PYTHONPATH": path})

    def peak_bytes(self) -> int:
        """
        Return the peak of the daemon's memory, in bytes.
        """
        status = Path(f"/proc/{self.daemon.process.pid}/status").read_text()
        match = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert match is not None
        return int(match[1]) * 1024


class WheelTests(PluginTestCase):
    """
    The wheel itself.
    """

    def test_serves(self) -> None:
        """
        The daemon of the wheel serves, on its own storage.
        """
        self.client.save_model("m")
        for archived in (True, False):
            info = self.client.create("m", b"data", archived=archived)
            self.assertEqual(self.client.data("m", info.version_number), b"data")

    def test_runs_from_there(self) -> None:
        """
        It is the wheel's code that runs, and not the checkout's.
        """
        maps = Path(f"/proc/{self.daemon.process.pid}/environ").read_text()
        self.assertIn(str(installed()), maps)
        found = subprocess.run(
            [sys.executable, "-c", "import twisted_registry; print(twisted_registry.__file__)"],
            cwd=self.directory,
            env=clean_environment(self.daemon.environment),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=True,
        )
        self.assertTrue(found.stdout.startswith(str(installed())), found.stdout)

    def test_all_providers_are_known(self) -> None:
        """
        If a provider is not found, the daemon names its built-in provider and those of the plugins.
        """
        command = ("--nodaemon", "--pidfile=", "model-registry", "--archive", "tape")
        ended = run_twistd(self.directory, *command, environment=self.daemon.environment)
        self.assertIn("known: filesystem, sqlite", ended.stderr)

    def test_broken_plugin(self) -> None:
        """
        A plugin that cannot be imported is named in one sentence, after the traceback of twistd's own search.
        """
        folder = self.directory / "broken" / "twisted" / "plugins"
        folder.mkdir(parents=True)
        (folder / "broken_plugin.py").write_text("import missing  # for twisted_registry\n")
        path = f"{folder.parents[1]}:{self.daemon.environment['PYTHONPATH']}"
        command = ("--nodaemon", "--pidfile=", "model-registry", "--archive", "tape")
        ended = run_twistd(self.directory, *command, environment={**self.daemon.environment, "PYTHONPATH": path})
        self.assertEqual(ended.stderr.count("Traceback (most recent call last)"), 1)
        self.assertIn("broken_plugin.py cannot be imported (No module named 'missing')", ended.stderr.splitlines()[-1])


class ArchivePluginTests(PluginTestCase):
    """
    An archive of another package's.
    """

    storage: ClassVar = {"--archive": "sqlite:FOLDER/models.db"}
    flags: ClassVar = ["--version-cache-max-bytes", str(MIB)]

    def test_larger_than_memory(self) -> None:
        """
        A version far larger than the memory budget is stored and read back, and was never in memory as a whole.
        """
        self.client.save_model("m")
        self.client.create("m", bytes(MIB), archived=True)
        before = self.peak_bytes()
        data = os.urandom(VERSION_BYTES)
        info = self.client.create("m", data, archived=True)
        self.assertEqual(info.data_hash, data_hash(data))
        self.assertEqual(self.client.data("m", info.version_number), data)
        self.assertLess(self.peak_bytes() - before, VERSION_BYTES // 2)

    def test_all_calls(self) -> None:
        """
        Models and versions are in it, outlive the daemon, and go with their model.
        """
        self.client.save_model("m", a="b")
        archived = self.client.create("m", b"archived", archived=True)
        self.client.create("m", b"transient")
        self.restart()
        self.assertEqual(dict(self.client.models("m").model_infos[0].user_data), {"a": "b"})
        self.assertEqual(list(self.client.infos("m").version_infos), [archived])
        self.assertEqual(self.client.data("m", -1), b"archived")
        self.assertEqual(self.client.create("m", b"next", archived=True).version_number, 3)
        self.client.delete_model("m")
        self.assert_refused(grpc.StatusCode.NOT_FOUND, lambda: self.client.infos("m"))
        self.client.save_model("m")
        self.assertEqual(self.client.create("m", b"anew", archived=True).version_number, 1)

    def test_at_once(self) -> None:
        """
        Many may write and read at once.
        """
        self.client.save_model("m")
        data = [os.urandom(2 * MIB) for _ in range(8)]
        numbers: dict[int, int] = {}

        def create(index: int) -> None:
            numbers[index] = self.client.create("m", data[index], archived=True).version_number

        threads = [threading.Thread(target=create, args=(index,)) for index in range(len(data))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(numbers.values()), list(range(1, 9)))
        for index, number in numbers.items():
            self.assertEqual(self.client.data("m", number), data[index])

    def test_in_use(self) -> None:
        """
        Like every other archive it is one daemon's alone: another one says so, and does not start.
        """
        command = ("--nodaemon", "--pidfile=", "model-registry", "--port", "0")
        archive = f"sqlite:{self.directory}/models.db"
        ended = run_twistd(self.directory, *command, "--archive", archive, environment=self.daemon.environment)
        self.assertEqual(ended.returncode, 1)
        self.assertRegex(ended.stderr, r"\Atwistd model-registry: the database '.*' cannot be used: .*locked\n\Z")


class TransientPluginTests(PluginTestCase):
    """
    A transient store of another package, which may block.
    """

    storage: ClassVar = {"--transient": "scratch:FOLDER", "--archive": "filesystem:FOLDER/archive"}
    flags: ClassVar = ["--version-cache-max-items", "3", "--sent-model-version-data-chunk-size", "1000000"]

    def test_kept_and_evicted(self) -> None:
        """
        Transient versions are in it, are pushed, and go when its budget is spent.
        """
        self.client.save_model("m")
        stream = self.client.updates("m")
        data = [os.urandom(3 * MIB) for _ in range(5)]
        infos = [self.client.create("m", item) for item in data]
        self.assertEqual(list(self.client.infos("m").version_infos), infos[2:])
        for info, item in zip(infos[2:], data[2:], strict=True):
            self.assertEqual(self.client.data("m", info.version_number), item)
        self.assertIn(next(stream).version_info, infos)
        stream.cancel()
        self.assert_refused(grpc.StatusCode.NOT_FOUND, lambda: self.client.data("m", 1))
        self.assertEqual(self.client.statuses("versions_in_memory"), {"versions_in_memory": "3"})

    def test_beside_an_archive(self) -> None:
        """
        An archive can be used with it.
        """
        self.client.save_model("m")
        transient = self.client.create("m", b"transient")
        archived = self.client.create("m", b"archived", archived=True)
        self.assertEqual(list(self.client.infos("m").version_infos), [transient, archived])
        self.assertEqual([self.client.data("m", number) for number in (1, 2)], [b"transient", b"archived"])
        self.restart()
        self.assertEqual(list(self.client.infos("m").version_infos), [archived])
