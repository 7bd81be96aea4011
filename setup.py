"""
The build of the package, as far as setup.cfg cannot describe it.
"""

from pathlib import Path
from typing import ClassVar

from setuptools import Command, find_packages, setup
from setuptools.command.build import build
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

        target = DESCRIPTORS if self.editable_mode else Path(self.build_lib, DESCRIPTORS)
        target.parent.mkdir(parents=True, exist_ok=True)
        arguments = [f"--proto_path={PROTO_ROOT}", "--include_imports", f"--descriptor_set_out={target}", *PROTOS]
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


setup(
    # find_packages does not find twisted.plugins: it has no __init__.py, and must never have one.
    packages=[*find_packages(include=["twisted_registry", "twisted_registry.*"]), "twisted.plugins"],
    cmdclass={"build": Build, "build_protos": BuildProtos},
)
