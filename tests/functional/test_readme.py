"""
Tests of the README and of the guide on grpcurl: their commands run in order, and their tables match the settings.
"""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from tests.support.daemon import TIMEOUT_SECONDS, free_port
from tests.support.grpcurl import ENDLESS
from tests.support.reflected import ReflectedClient
from tests.support.registry_case import RegistryTestCase
from twisted_registry.config.load import SETTINGS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
GRPCURL = (ROOT / "docs" / "guides" / "grpcurl.md").read_text()
PAGES = [
    *ROOT.glob("*.md"),
    *(page for name in ("docs", "news", "findings", "locks") for page in (ROOT / name).rglob("*.md")),
]
EXAMPLES = [ROOT / "examples" / name for name in ("first_model.py", "bare_grpc.py")]

_SESSION = r"""
set -euo pipefail
make() {
    case $1 in
        run)
            stop
            : > daemon.log  # here, because a log of before would end the wait
            .venv/bin/twistd --nodaemon --pidfile= model-registry >> daemon.log 2>&1 < /dev/null &
            daemon=$!
            until grep -q 'listening on' daemon.log; do kill -0 $daemon; sleep 0.05; done ;;
        test) grep -q '^test:' "$root/Makefile" ;;
        *) return 1 ;;
    esac
}
stop() { if [ "$daemon" ]; then kill -INT $daemon; wait $daemon; daemon=; fi; }
docker() { :; }
grpcurl() { PYTHONPATH=$root "$python" -m tests.support.grpcurl "$@"; }
twisted-registry() {
    # Instead of Ctrl-C.
    if [ $1 = watch ]; then set -- watch --once "${@:2}"; fi
    command twisted-registry "$@"
}
daemon=
trap '[ -z "$daemon" ] || { tail -5 daemon.log >&2; kill -9 $daemon; }' EXIT
"""
"""The replacement of the second terminal, Ctrl-C, and the tools that are missing or take too long."""


def fenced(language: str, page: str = README) -> Iterator[str]:
    """
    Return the blocks of a page that are in a language.
    """
    return (match[1] for match in re.finditer(rf"```{language}\n(.*?)```", page, re.DOTALL))


def anchors(page: Path) -> set[str]:
    """
    Return the anchors of the headings of a page, as GitHub makes them.
    """
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def lines_of(*files: Path) -> set[str]:
    """
    Return the lines of files, without their indentation.
    """
    return {line.strip() for file in files for line in file.read_text().splitlines()}


def grpcurl_calls() -> Iterator[tuple[str, str]]:
    """
    Return the calls of the guide's grpcurl commands: the path and the request of each.
    """
    for block in fenced("sh", GRPCURL):
        for command in block.replace("\\\n", " ").split("grpcurl ")[1:]:
            words = shlex.split(command)
            path = words[words.index("localhost:9000") + 1]
            yield path, words[words.index("-d") + 1] if "-d" in words else "{}"


class GrpcurlTests(RegistryTestCase):
    """
    The grpcurl commands of the guide, in its order, driven through reflection.
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


class SessionTests(SynchronousTestCase):
    """
    The README and the guide on grpcurl, as a newcomer types them.
    """

    def test_from_top_to_bottom(self) -> None:
        """
        All commands succeed, one after another in one shell, in a checkout that was not prepared: only the README puts
        anything on the PATH.
        """
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        (folder / ".venv").symlink_to(sys.prefix)
        for name in ("examples", "protos"):
            (folder / name).symlink_to(ROOT / name)
        address = f"localhost:{free_port()}"
        typed = "\n".join([*fenced("sh"), *fenced("sh", GRPCURL)]).replace("localhost:9000", address)
        typed = re.sub(r"(examples/\w+\.py)", rf"\1 {address}", typed)
        done = subprocess.run(
            ["bash", "-c", f"{_SESSION}\n{typed}\nstop"],
            cwd=folder,
            env={
                "PATH": "/usr/local/bin:/usr/bin:/bin",
                "HOME": str(folder),
                "root": str(ROOT),
                "python": sys.executable,
                "TWISTED_REGISTRY_SERVER": address,
                "COGMENT_MODEL_REGISTRY_PORT": address.rpartition(":")[2],
            },
            capture_output=True,
            text=True,
            timeout=2 * TIMEOUT_SECONDS,
            check=False,
        )
        self.assertEqual(done.returncode, 0, f"{done.stdout}\n{done.stderr}")
        lines = done.stdout.splitlines()
        for printed in (
            "published version 1",
            "walker@2  1.0 MB  transient",
            '{"data_chunk": "aGVsbG8="}',
            '{"status": "SERVING"}',
        ):
            self.assertIn(printed, lines)
        self.assertEqual((folder / "copy.pt").read_bytes(), (folder / "walker.pt").read_bytes())


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
            said = [f"published version {number}", f"notified of version {number}", "fetched 10000000 bytes, intact"]
            self.assertEqual(done.stdout.splitlines(), said)


class ProviderTests(SynchronousTestCase):
    """
    The tests in the guide on providers.
    """

    def test_they_pass(self) -> None:
        """
        The example's own tests pass under unittest.
        """
        example = ROOT / "examples" / "sqlite_provider"
        command = [sys.executable, "-m", "unittest", "test_sqlite_archive"]
        done = subprocess.run(
            command, cwd=example, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr, r"Ran [1-9]\d+ tests")


class ReadmeTests(SynchronousTestCase):
    """
    The README quotes the code, the settings and the pages that exist.
    """

    def test_named_files_exist(self) -> None:
        """
        The files of the project that a page names are there.
        """
        name = re.compile(r"`((?:twisted_registry|tests|tools|benchmarks|release|examples|docs)/[\w/.-]+)`")
        missing = [
            (str(page.relative_to(ROOT)), path)
            for page in PAGES
            if page.name != "CHANGELOG.md"
            for path in name.findall(page.read_text())
            if not (ROOT / path).exists()
        ]
        self.assertEqual(missing, [])

    def test_python_is_quoted_from_the_examples(self) -> None:
        """
        Every line of Python in the README and in the page on providers stands in an example that tests run.
        """
        provider = (ROOT / "docs" / "guides" / "write-a-provider.md").read_text()
        for page, files in ((README, EXAMPLES), (provider, (ROOT / "examples" / "sqlite_provider").rglob("*.py"))):
            known = lines_of(*files)
            for block in fenced("python", page):
                self.assertEqual([line for line in block.splitlines() if line.strip() not in known], [])

    def test_settings_exist(self) -> None:
        """
        Each row of the README's table has the flag and the variable of a setting.
        """
        rows = set(re.findall(r"^\| `--([a-z-]+)` \| `(COGMENT_[A-Z_]+)` \|", README, re.MULTILINE))
        self.assertEqual(len(rows), 4)
        self.assertLessEqual(rows, {(setting.name, setting.variable) for setting in SETTINGS})

    def test_every_setting_is_in_the_reference(self) -> None:
        """
        The reference has a row for each setting, with its flag and its variable, and no other.
        """
        page = (ROOT / "docs" / "reference" / "configuration.md").read_text()
        rows = set(re.findall(r"^\| `--([a-z-]+)` \| `(COGMENT_[A-Z_]+)` \|", page, re.MULTILINE))
        self.assertEqual(rows, {(setting.name, setting.variable) for setting in SETTINGS})

    def test_links_lead_somewhere(self) -> None:
        """
        Every link leads to a page that exists, and to a heading in it.
        """
        for page in PAGES:
            for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", page.read_text()):
                path = page.parent / target if target else page
                self.assertTrue(path.exists(), f"{page.name} points to {target}")
                if anchor:
                    self.assertIn(anchor, anchors(path), f"{page.name} points to {target}#{anchor}")
