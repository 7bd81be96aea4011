"""
Who may import whom.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import twisted_registry

PACKAGE = Path(twisted_registry.__file__).parent

MAY_IMPORT: dict[str, set[str]] = {
    "__init__": set(),
    "domain": set(),
    "contracts": {"domain"},
    "storage": {"domain", "contracts"},
    "execution": {"domain", "contracts"},
    "registry": {"domain", "contracts"},
    "application": {"domain", "contracts"},
    "protocol": {"domain"},
    "rpc": {"__init__", "domain", "application", "contracts", "protocol", "daemon"},
    "client": {"domain", "protocol"},
    "daemon": {"__init__", "domain", "contracts", "storage", "execution", "registry", "rpc"},
    "cli": {"__init__", "domain", "contracts", "storage", "client", "daemon"},
}
"""The rooms each room may know."""

ONLY_IN: dict[str, set[str]] = {
    "grpc": {"rpc", "client"},
    "google.protobuf": {"protocol", "rpc", "client"},
    "google.rpc": {"protocol"},
    "asyncio": {"rpc", "client"},
    "tenacity": {"client"},
    "uvloop": {"rpc"},
    "yaml": {"storage"},
    "xxhash": {"registry", "client"},
    "click": {"cli"},
    "rich": {"cli"},
    "twisted.python.threadpool": {"daemon"},
    "twisted.internet.threads": set(),
    "twisted.internet.reactor": {"daemon"},
}
"""The libraries that belong to certain rooms alone."""


def room_of(path: Path) -> str:
    """
    Give the room a file lies in.
    """
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """
    Give the dotted names a file imports.
    """
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_rooms(path: Path) -> Iterator[str]:
    """
    Give the rooms of this package that a file imports from.
    """
    for name in imports(path):
        first, _, rest = name.partition(".")
        if first == "twisted_registry":
            part = rest.split(".")[0]
            is_room = part and ((PACKAGE / part).is_dir() or (PACKAGE / f"{part}.py").is_file())
            yield part if is_room else "__init__"


class RoomTests(SynchronousTestCase):
    """
    The rooms know each other as the architecture says.
    """

    def test_rooms_import_only_what_they_may(self) -> None:
        """
        No file imports a room that its own room is not to know.
        """
        wrong = [
            f"{path.relative_to(PACKAGE)} imports {room}"
            for path in sorted(PACKAGE.rglob("*.py"))
            for room in own_rooms(path)
            if room_of(path) != room and room not in MAY_IMPORT[room_of(path)]
        ]
        self.assertEqual(wrong, [])

    def test_libraries_stay_in_their_rooms(self) -> None:
        """
        Both ends of the wire alone know gRPC, protobuf and asyncio;
        the daemon alone makes pools; storage alone reads YAML.
        """
        wrong = [
            f"{path.relative_to(PACKAGE)} imports {name}"
            for path in sorted(PACKAGE.rglob("*.py"))
            for name in imports(path)
            for library, rooms in ONLY_IN.items()
            if f"{name}.".startswith(f"{library}.") and room_of(path) not in rooms
        ]
        self.assertEqual(wrong, [])

    def test_storage_needs_no_reactor(self) -> None:
        """
        Storage imports nothing of Twisted but its logger.
        """
        for path in sorted((PACKAGE / "storage").rglob("*.py")):
            twisted = {name for name in imports(path) if name.startswith("twisted.")}
            self.assertLessEqual(twisted, {"twisted.logger.Logger"}, path)
