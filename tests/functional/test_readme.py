"""
The README says what is so: its examples are run, its table is compared with the settings.
"""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from tests.support.reflected import ReflectedClient
from tests.support.registry_case import RegistryTestCase
from twisted_registry.settings import SETTINGS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
EXAMPLES = [ROOT / "examples" / name for name in ("first_model.py", "bare_grpc.py")]

ENDLESS = "VersionUpdate"


def fenced(language: str, page: str = README) -> Iterator[str]:
    """
    Give a page's blocks in a language.
    """
    return (match[1] for match in re.finditer(rf"```{language}\n(.*?)```", page, re.DOTALL))


def lines_of(*files: Path) -> set[str]:
    """
    Give the lines of files, wherever they begin.
    """
    return {line.strip() for file in files for line in file.read_text().splitlines()}


def grpcurl_calls() -> Iterator[tuple[str, str]]:
    """
    Give the calls of the README's grpcurl commands: each a path and what is sent.
    """
    for block in fenced("sh"):
        for command in block.replace("\\\n", " ").split("grpcurl ")[1:]:
            words = shlex.split(command)
            path = words[words.index("localhost:9000") + 1]
            yield path, words[words.index("-d") + 1] if "-d" in words else "{}"


class GrpcurlTests(RegistryTestCase):
    """
    The grpcurl commands of the README, in its order, driven through reflection.
    """

    flags: ClassVar = ["--grpc-reflection"]

    def test_every_command_succeeds(self) -> None:
        """
        Each command is answered, and together they make each of the nine calls.
        """
        reflected = ReflectedClient(self.client.channel)
        replies = {}
        for path, text in grpcurl_calls():
            most = 1 if path.endswith(ENDLESS) else None
            replies[path.rpartition("/")[2]] = reflected.call(path, text, most)
        self.assertLessEqual(set(reflected.describe("cogmentAPI.ModelRegistrySP")), set(replies))
        self.assertEqual(replies["RetrieveVersionData"], [{"data_chunk": "aGVsbG8="}])
        self.assertEqual(replies["VersionUpdate"][0]["version_info"]["version_number"], 2)
        self.assertEqual(replies["Check"], [{"status": "SERVING"}])


class PythonTests(RegistryTestCase):
    """
    The Python of the README.
    """

    def test_examples_run(self) -> None:
        """
        Each example publishes a version, hears of it, and fetches it intact.
        """
        for number, example in enumerate(EXAMPLES, 1):
            done = subprocess.run(
                [sys.executable, example, self.daemon.address], capture_output=True, text=True, timeout=60, check=False
            )
            self.assertEqual(done.returncode, 0, done.stderr)
            said = [f"published version {number}", f"heard of version {number}", "fetched 10000000 bytes, intact"]
            self.assertEqual(done.stdout.splitlines(), said)


class ReadmeTests(SynchronousTestCase):
    """
    What the README quotes is what there is.
    """

    def test_python_is_quoted_from_the_examples(self) -> None:
        """
        Every line of Python in the README and in the page on providers stands in an example that tests run.
        """
        provider = (ROOT / "docs" / "writing-a-provider.md").read_text()
        for page, files in ((README, EXAMPLES), (provider, (ROOT / "examples" / "sqlite_provider").rglob("*.py"))):
            known = lines_of(*files)
            for block in fenced("python", page):
                self.assertEqual([line for line in block.splitlines() if line.strip() not in known], [])

    def test_every_setting_is_in_the_table(self) -> None:
        """
        The table has a row for each setting, with its flag and its variable, and no other.
        """
        rows = set(re.findall(r"^\| `--([a-z-]+)` \| `(COGMENT_[A-Z_]+)` \|", README, re.MULTILINE))
        self.assertEqual(rows, {(setting.name, setting.variable) for setting in SETTINGS})

    def test_links_lead_somewhere(self) -> None:
        """
        Every page that the README and the docs point to exists.
        """
        for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
            for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
                self.assertTrue((page.parent / target).exists(), f"{page.name} points to {target}")
