"""
Tests of the wheel and the source distribution.
"""

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from configparser import ConfigParser
from hashlib import sha256
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from twisted.trial.unittest import SynchronousTestCase

from release.archives import EPOCH_VARIABLE, FALLBACK_EPOCH, copy_source, source_epoch
from tests.unit.test_release import ENVIRONMENT

ROOT = Path(__file__).parents[2]
EPOCH = 1_700_000_000


class SameBytesTests(SynchronousTestCase):
    """
    The package, built twice.
    """

    def build(self, folder: Path, umask: int, **environment: str) -> dict[str, str]:
        """
        Build it from a copy of the source, and return the SHA-256 of each file: a difference between megabytes of data
        would take very long to print.
        """
        folder.parent.mkdir(parents=True)
        copy_source(ROOT, folder)
        for path in folder.rglob("*"):
            if path.is_file():
                path.chmod(path.stat().st_mode & ~umask)
        built = subprocess.run(
            [sys.executable, "-m", "release", "build"],
            cwd=folder,
            env={**ENVIRONMENT, EPOCH_VARIABLE: str(EPOCH), **environment},
            umask=umask,
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(built.returncode, 0, built.stderr)
        return {path.name: sha256(path.read_bytes()).hexdigest() for path in (folder / "dist").iterdir()}

    def test_the_same_bytes(self) -> None:
        """
        Neither the folder, nor the umask, nor the zone, nor the order of a set, nor what lies about changes a byte.
        """
        top = Path(self.mktemp())
        first = self.build(top / "a" / "source", 0o022, PYTHONHASHSEED="1")
        second_folder = top / "another" / "and-deeper" / "source"
        second = self.build(second_folder, 0o077, PYTHONHASHSEED="2", TZ="Asia/Tokyo", LC_ALL="C")
        self.assertEqual(sorted(first), sorted(second))
        self.assertEqual(first, second)
        again = self.build(top / "b" / "source", 0o027)
        self.assertEqual(again, first)
        self.assert_made_by_nobody(second_folder / "dist")
        self.assert_has_the_page(second_folder / "dist")

    def assert_made_by_nobody(self, folder: Path) -> None:
        """
        Check that an archive does not reveal who made it, or when.
        """
        (sdist,), wheels = folder.glob("*.tar.gz"), list(folder.glob("*.whl"))
        with tarfile.open(sdist) as packed:
            for member in packed:
                self.assertEqual((member.uid, member.gid, member.uname, member.gname), (0, 0, "", ""))
                self.assertEqual(member.mtime, EPOCH)
                self.assertIn(member.mode, (0o644, 0o755))
        self.assertEqual(len(wheels), 2)
        for wheel in wheels:
            with zipfile.ZipFile(wheel) as packed_wheel:
                self.assertEqual({each.date_time for each in packed_wheel.infolist()}, {(2023, 11, 14, 22, 13, 20)})
                self.assertTrue(packed_wheel.namelist()[-1].endswith("/RECORD"))

    def assert_has_the_page(self, folder: Path) -> None:
        """
        Check that the wheel of the server has the files of the page with the licenses of its libraries, and that of the
        client has neither.
        """
        page = ROOT / "twisted_registry" / "web" / "page"
        files = {path.relative_to(ROOT).as_posix() for path in page.rglob("*") if path.is_file()}
        (server,), (client,) = folder.glob("twisted_registry-*.whl"), folder.glob("twisted_registry_client-*.whl")
        with zipfile.ZipFile(server) as packed:
            self.assertEqual(
                {name for name in packed.namelist() if name.startswith("twisted_registry/web/page/")}, files
            )
            licenses = [name for name in packed.namelist() if ".dist-info/" in name and "/vendor/" in name]
            self.assertEqual(len(licenses), len(list(page.glob("vendor/*/LICENSE*"))))
        with zipfile.ZipFile(client) as packed:
            self.assertFalse([name for name in packed.namelist() if "/page/" in name])


class EpochTests(SynchronousTestCase):
    """
    When the source was written.
    """

    def setUp(self) -> None:
        """
        Make a folder, and clear the environment.
        """
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.patch(os, "environ", {name: value for name, value in ENVIRONMENT.items() if name != EPOCH_VARIABLE})

    def test_outside_git(self) -> None:
        """
        Without a commit, the time is the earliest that a wheel can have.
        """
        self.assertEqual(source_epoch(self.folder), FALLBACK_EPOCH)

    def test_last_commit(self) -> None:
        """
        It is the time of the last commit, unless the environment says another.
        """
        (self.folder / "file").touch()
        for words in (("init", "--quiet"), ("add", "."), ("commit", "--quiet", "-m", "All", "--no-gpg-sign")):
            environment = {**os.environ, "GIT_COMMITTER_DATE": f"{EPOCH} +0900", "GIT_AUTHOR_DATE": "1600000000 +0000"}
            subprocess.run(["git", *words], cwd=self.folder, env=environment, check=True)
        self.assertEqual(source_epoch(self.folder), EPOCH)
        os.environ[EPOCH_VARIABLE] = "1234567890"
        self.assertEqual(source_epoch(self.folder), 1_234_567_890)


class LockTests(SynchronousTestCase):
    """
    The lock files pin everything that is installed.
    """

    def test_each_package_has_hashes(self) -> None:
        """
        Each lock names each package by its version and its hashes, and says nothing of where it came from.
        """
        for name in ("image", "build", "dev"):
            text = (ROOT / "locks" / f"{name}.txt").read_text()
            entries = re.findall(r"^[a-z0-9].*?(?=^[a-z0-9]|\Z)", text, re.DOTALL | re.MULTILINE)
            self.assertGreater(len(entries), 5)
            for entry in entries:
                self.assertRegex(entry, r"\A[a-z0-9-]+==\S+ ")
                self.assertIn("--hash=sha256:", entry)
            self.assertNotRegex(text, r"://|--(extra-)?index-url|--find-links")

    def test_one_version_for_all(self) -> None:
        """
        The image runs with the versions that the tests ran with.
        """
        pins = {
            name: set(re.findall(r"^([a-z0-9-]+==\S+)", (ROOT / "locks" / f"{name}.txt").read_text(), re.MULTILINE))
            for name in ("image", "build", "dev")
        }
        self.assertLessEqual(pins["image"], pins["dev"])
        self.assertLessEqual(pins["build"], pins["dev"])

    def test_the_locks_keep_the_bounds(self) -> None:
        """
        Each package that setup.cfg names is locked, to a version that it allows; if it is not, run 'make lock'.
        """
        setup = ConfigParser()
        setup.read(ROOT / "setup.cfg")
        extras = setup["options.extras_require"]
        wanted = {"image": setup["options"]["install_requires"], "dev": extras["dev"]}
        for name, lines in wanted.items():
            text = (ROOT / "locks" / f"{name}.txt").read_text()
            pins = re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE)
            for line in filter(None, lines.splitlines()):
                requirement = Requirement(line)
                versions = [version for package, version in pins if package == canonicalize_name(requirement.name)]
                self.assertTrue(versions, line)
                self.assertTrue(all(map(requirement.specifier.contains, versions)), line)

    def test_the_image_installs_by_hashes(self) -> None:
        """
        The image is made of a base that is named by its digest, and of locked packages.
        """
        text = (ROOT / "Dockerfile").read_text()
        self.assertRegex(text, r"(?m)^ARG PYTHON_IMAGE=python:3\.13-slim@sha256:[0-9a-f]{64}$")
        self.assertEqual(set(re.findall(r"(?m)^FROM (\S+)", text)), {"${PYTHON_IMAGE}"})
        for line in re.findall(r"pip (?:install|wheel) .*", text):
            self.assertRegex(line, "--require-hashes|--no-deps --no-index")
