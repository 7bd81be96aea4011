"""
The build of the package, as far as setup.cfg cannot describe it.
"""

import os
from configparser import ConfigParser
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar

from setuptools import Command, find_packages, setup
from setuptools.command.build import build
from setuptools.command.build_py import build_py
from setuptools.errors import ExecError

PROTO_ROOT = Path("protos")
PROTOS = sorted(path.relative_to(PROTO_ROOT).as_posix() for path in PROTO_ROOT.rglob("*.proto"))
DESCRIPTORS = Path("twisted_registry", "protocol", "_descriptors.binpb")


class BuildProtos(Command):
    """
    The compiler of the .proto files, to one set of descriptors, which ``twisted_registry.protocol.messages`` loads.

    It implements the protocol of ``setuptools.command.build.SubCommand``.
    """

    description = "compile the .proto files to descriptors"
    user_options: ClassVar[list[tuple[str, str, str]]] = []

    editable_mode = False
    build_lib = ""

    def initialize_options(self) -> None:
        self.build_lib = ""

    def finalize_options(self) -> None:
        self.build_lib = self.get_finalized_command("build_py").build_lib

    def run(self) -> None:
        # Imported here: an sdist is listed without a compiler.
        from grpc_tools import protoc

        standard = resources.files("grpc_tools") / "_proto"  # google/protobuf/*.proto
        target = DESCRIPTORS if self.editable_mode else Path(self.build_lib, DESCRIPTORS)
        target.parent.mkdir(parents=True, exist_ok=True)
        paths = [f"--proto_path={path}" for path in (PROTO_ROOT, standard)]
        arguments = [*paths, "--include_imports", f"--descriptor_set_out={target}", *PROTOS]
        if protoc.main(["protoc", *arguments]) != 0:
            raise ExecError("protoc refused the .proto files")

    def get_source_files(self) -> list[str]:
        return [str(PROTO_ROOT / proto) for proto in PROTOS]

    def get_outputs(self) -> list[str]:
        return [str(Path(self.build_lib, DESCRIPTORS))]

    def get_output_mapping(self) -> dict[str, str]:
        return {output: str(DESCRIPTORS) for output in self.get_outputs()} if self.editable_mode else {}


class Build(build):
    """
    The build, including the descriptors.
    """

    sub_commands: ClassVar = [*build.sub_commands, ("build_protos", None)]


class ClientBuildPy(build_py):
    """
    The choice of the client's modules: of the package itself only ``__init__``.
    """

    def find_package_modules(self, package: str, package_dir: str) -> list[tuple[str, str, str]]:
        modules: list[tuple[str, str, str]] = super().find_package_modules(package, package_dir)
        return [found for found in modules if package != "twisted_registry" or found[1] == "__init__"]


DISTRIBUTION = os.environ.get("TWISTED_REGISTRY_DISTRIBUTION", "")
"""Which distribution to build: ``client`` for twisted-registry-client, else twisted-registry."""

COMMANDS = {"build": Build, "build_protos": BuildProtos}

CLIENT_PACKAGES = ["domain", "protocol", "client", "cli"]

CLIENT_REQUIREMENTS = {
    "attrs",
    "click",
    "googleapis-common-protos",
    "grpcio",
    "grpcio-health-checking",
    "protobuf",
    "rich",
    "tenacity",
    "xxhash",
}


def requirements() -> dict[str, str]:
    """
    Return the requirements in setup.cfg, by name.
    """
    config = ConfigParser()
    config.read("setup.cfg")
    lines = filter(None, config["options"]["install_requires"].splitlines())
    return {line.split()[0]: line for line in lines if not line.startswith("#")}


def extra(name: str) -> str:
    """
    Return the first requirement of an extra in setup.cfg.
    """
    config = ConfigParser()
    config.read("setup.cfg")
    return config["options.extras_require"][name].strip().splitlines()[0]


def client_distribution() -> dict[str, Any]:
    """
    Return the arguments of ``setup`` for twisted-registry-client; they take precedence over setup.cfg.
    """
    required = requirements()
    included = [f"twisted_registry.{name}{rest}" for name in CLIENT_PACKAGES for rest in ("", ".*")]
    return {
        "name": "twisted-registry-client",
        "description": "The client of twisted-registry, a versioned key-value store for machine-learning models",
        # Without those of the page's libraries.
        "license_files": ["LICENSE"],
        "packages": ["twisted_registry", *find_packages(include=included)],
        "install_requires": [required[name] for name in sorted(CLIENT_REQUIREMENTS)],
        # The client continues the traces of its program, which brings an SDK: it needs only the API of OpenTelemetry.
        "extras_require": {
            "twisted": [required["twisted"]],
            "keyring": [extra("keyring")],
            "tracing": [extra("tracing")],
        },
        # Separate from that of the other distribution: a wheel has all files in there.
        "options": {"build": {"build_base": "build/client"}},
        "cmdclass": {**COMMANDS, "build_py": ClientBuildPy},
    }


def full_distribution() -> dict[str, Any]:
    """
    Return the arguments of ``setup`` for twisted-registry.
    """
    # find_packages does not find twisted.plugins: it has no __init__.py, and must never have one.
    packages = [*find_packages(include=["twisted_registry", "twisted_registry.*"]), "twisted.plugins"]
    return {"packages": packages, "cmdclass": COMMANDS}


setup(**(client_distribution() if DISTRIBUTION == "client" else full_distribution()))
