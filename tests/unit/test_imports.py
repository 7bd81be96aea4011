"""
Tests of which packages import which parts of Twisted: to import-linter (.importlinter) Twisted is one module.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import twisted_registry

PACKAGE = Path(twisted_registry.__file__).parent

ONLY_IN: dict[str, set[str]] = {
    "twisted.python.threadpool": {"daemon", "testing"},
    "twisted.internet.threads": set(),
    "twisted.internet.reactor": {"daemon", "testing"},
    "twisted.web": {"web", "deliveries"},
}
"""The packages that may import these modules."""


def imports(path: Path) -> Iterator[str]:
    """
    Return the dotted names that a file imports.
    """
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


class TwistedTests(SynchronousTestCase):
    """
    The parts of Twisted stay where they belong.
    """

    def test_who_has_a_reactor_and_makes_thread_pools(self) -> None:
        """
        All packages but the daemon and the test tools receive the reactor and the pools as arguments.
        """
        wrong = [
            f"{path.relative_to(PACKAGE)} imports {name}"
            for path in sorted(PACKAGE.rglob("*.py"))
            for name in imports(path)
            for module, packages in ONLY_IN.items()
            if f"{name}.".startswith(f"{module}.") and path.relative_to(PACKAGE).parts[0] not in packages
        ]
        self.assertEqual(wrong, [])

    def test_storage_needs_no_reactor(self) -> None:
        """
        Storage imports only the logger of Twisted.
        """
        for path in sorted((PACKAGE / "storage").rglob("*.py")):
            twisted = {name for name in imports(path) if name.startswith("twisted.")}
            self.assertLessEqual(twisted, {"twisted.logger.Logger"}, path)
