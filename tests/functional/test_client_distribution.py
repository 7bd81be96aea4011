"""
Tests of twisted-registry-client: the distribution without the server, as an actor's image installs it.
"""

import os
import subprocess
import sys
import sysconfig
import zipfile
from email import message_from_bytes
from email.message import Message
from functools import cache
from pathlib import Path

from packaging.requirements import Requirement

from release.archives import DISTRIBUTION_VARIABLE, copy_source
from tests.support.daemon import TIMEOUT_SECONDS, clean_environment
from tests.support.edge import SharedEdgeTestCase

ROOT = Path(__file__).parents[2]

BEGINNING = """
import sys

class Missing:
    # An import hook: the packages of the server's distribution are not installed.
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("twisted", "zope", "yaml", "uvloop", "grpc_reflection"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
sys.path[:0] = [WHEEL, LIBRARIES]
"""

ROUND_TRIP = """
from twisted_registry.client import BlockingClient, Client, Tracker, __file__
from twisted_registry.client.errors import UnknownModel

assert __file__.startswith(WHEEL), __file__
with BlockingClient(ADDRESS) as registry, registry.track(MODEL) as tracker:
    info = registry.publish(MODEL, b"weights")
    assert next(tracker) == info
    assert registry.retrieve(MODEL, info) == b"weights"
print("it works")
"""

COMMAND = """
from twisted_registry.cli.main import main
sys.argv[:] = ["twisted-registry", *ARGUMENTS]
main()
"""

LIGHT = """
from twisted_registry.client import BlockingClient, Client, Tls
BlockingClient(), Client()
print(sorted({"google", "grpc", "tenacity", "twisted", "yaml", "zope"} & set(sys.modules)))
"""

TWISTED = """
from twisted_registry.client import DeferredClient
"""


@cache
def unpacked_wheel() -> Path:
    """
    Build and unpack the wheel.
    """
    top = Path("client-distribution").absolute()
    source, wheel = top / "source", top / "wheel"
    copy_source(ROOT, source)
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(top), str(source)],
        env={**os.environ, DISTRIBUTION_VARIABLE: "client"},
        capture_output=True,
        check=True,
    )
    (built,) = top.glob("twisted_registry_client-*-py3-none-any.whl")
    with zipfile.ZipFile(built) as packed:
        packed.extractall(wheel)
    return wheel


class ClientDistributionTests(SharedEdgeTestCase):
    """
    The wheel, unpacked where only the libraries of the client can be imported.
    """

    def setUp(self) -> None:
        """
        Build the wheel, once for all tests.
        """
        super().setUp()
        self.wheel = unpacked_wheel()

    def metadata(self) -> Message:
        """
        Return the wheel's metadata.
        """
        (path,) = self.wheel.glob("*.dist-info/METADATA")
        return message_from_bytes(path.read_bytes())

    def run_python(self, text: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """
        Run Python code beside the unpacked wheel.
        """
        libraries = sysconfig.get_paths()["purelib"]
        values = {"WHEEL": str(self.wheel), "LIBRARIES": libraries, "ADDRESS": self.daemon.address}
        values |= {"MODEL": self.model_id}
        script = "\n".join(
            [f"ARGUMENTS = {arguments!r}", *(f"{k} = {v!r}" for k, v in values.items()), BEGINNING, text]
        )
        # -S: without the site directory, whose .pth file would add the checkout.
        return subprocess.run(
            [sys.executable, "-S", "-I", "-c", script],
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )

    def test_requirements(self) -> None:
        """
        It requires what the client uses, and nothing of the server.
        """
        metadata = self.metadata()
        self.assertEqual(metadata["Name"], "twisted-registry-client")
        required = {Requirement(line).name for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line}
        self.assertEqual(
            required,
            {
                "attrs",
                "click",
                "googleapis-common-protos",
                "grpcio",
                "grpcio-health-checking",
                "protobuf",
                "rich",
                "tenacity",
                "xxhash",
            },
        )

    def test_contents(self) -> None:
        """
        It has the packages that the client and the command need, and no others.
        """
        package = self.wheel / "twisted_registry"
        found = {path.name for path in package.iterdir()} - {"__pycache__"}
        self.assertEqual(found, {"__init__.py", "py.typed", "cli", "client", "domain", "protocol"})
        self.assertFalse((self.wheel / "twisted").exists())

    def test_round_trip(self) -> None:
        """
        A blocking client publishes, follows and retrieves.
        """
        self.client.save_model(self.model_id)
        done = self.run_python(ROUND_TRIP)
        self.assertEqual((done.stdout, done.stderr), ("it works\n", ""))

    def test_command(self) -> None:
        """
        The command pulls a version; one for an archive, or for the registry's tokens, names the package that it needs.
        """
        self.client.save_model(self.model_id)
        self.client.create(self.model_id, b"weights")
        done = self.run_python(COMMAND, "pull", "--server", self.daemon.address, self.model_id, "-")
        self.assertEqual((done.returncode, done.stdout), (0, "weights"), done.stderr)
        for words in (("archive", "verify", "."), ("token", "ls", "--file", "tokens")):
            done = self.run_python(COMMAND, *words)
            self.assertEqual(done.returncode, 2)
            self.assertIn("needs the distribution twisted-registry, instead of", done.stderr)

    def test_without_twisted(self) -> None:
        """
        The client for Twisted names the package that it needs.
        """
        done = self.run_python(TWISTED)
        self.assertIn("ImportError: DeferredClient needs Twisted: pip install", done.stderr)

    def test_late_imports(self) -> None:
        """
        Clients that have not made a call have not loaded gRPC.
        """
        done = self.run_python(LIGHT)
        self.assertEqual((done.stdout, done.stderr), ("[]\n", ""))
