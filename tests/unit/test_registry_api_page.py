"""
Tests of docs/reference/registry-api.md.
"""

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.application.event_feed import CHECKPOINTS, MAX_BYTES, MAX_EVENTS
from twisted_registry.domain import aliases, annotations
from twisted_registry.domain.events import KINDS
from twisted_registry.domain.idempotency import KEY_SECONDS
from twisted_registry.domain.references import Reference
from twisted_registry.protocol.error_map import CODES, REASONS
from twisted_registry.protocol.messages import POOL, REGISTRY_SERVICE_NAME
from twisted_registry.registry.alias_requests import MAX_REQUESTS

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "registry-api.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """
    Return the text of a section.
    """
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


class PageTests(SynchronousTestCase):
    """
    The page describes the API as it is.
    """

    def test_calls(self) -> None:
        """
        Each call is in the table.
        """
        rows = re.findall(r"^\| (`.*?) \|", section("Calls"), re.MULTILINE)
        named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
        declared = [method.name for method in POOL.FindServiceByName(REGISTRY_SERVICE_NAME).methods]
        self.assertEqual(sorted(named), sorted(declared))

    def test_references(self) -> None:
        """
        The references of the table can be parsed.
        """
        rows = re.findall(r"^\| (`.*?) \|", section("References"), re.MULTILINE)
        parsed = [Reference.parse(text) for row in rows for text in re.findall(r"`(.+?)`", row)]
        self.assertEqual({reference.model_id for reference in parsed}, {"walker"})
        self.assertEqual([reference.selector for reference in parsed], [None, 3, 3, -1, -1, None])
        self.assertEqual(parsed[-1].alias, "production")

    def test_kinds(self) -> None:
        """
        Each kind of event is named.
        """
        named = re.findall(r"`((?:version|alias|model)_[a-z]+)`", section("Events"))
        self.assertEqual(sorted(set(named) - {"model_id"}), sorted(KINDS))

    def test_limits(self) -> None:
        """
        The limits are the present ones.
        """
        self.assertIn(f"the last {MAX_EVENTS:,} events", section("Events"))
        self.assertIn(f"after every {MAX_EVENTS // CHECKPOINTS:,} events", section("Events"))
        self.assertIn(f"{MAX_BYTES / CHECKPOINTS / 2**20:.1f} MiB", section("Events"))
        self.assertIn(f"at most {aliases.MAX_ALIASES_PER_MODEL:,} aliases", section("Aliases"))
        self.assertIn(f"the last {aliases.MAX_READ_REQUESTS:,} moves", section("Aliases"))
        self.assertIn(f"up to {MAX_REQUESTS:,} ids", section("Aliases"))
        self.assertEqual(KEY_SECONDS, 24 * 60 * 60)
        for text in (
            f"{annotations.MAX_LABELS} labels",
            f"{annotations.MAX_METRICS} metrics",
            f"1 to {annotations.MAX_KEY_BYTES} bytes",
            f"{annotations.MAX_VALUE_BYTES // 1024} KiB",
            f"{annotations.MAX_ANNOTATIONS_BYTES // 1024} KiB",
        ):
            self.assertIn(text, section("Versions").replace("\n  ", " "))

    def test_reasons(self) -> None:
        """
        The reasons that the page names have the codes that it names.
        """
        for code, reason in (
            ("FAILED_PRECONDITION", "ALIASED_VERSION"),
            ("FAILED_PRECONDITION", "TOO_MANY_ALIASES"),
            ("ABORTED", "ALIAS_MOVED"),
            ("OUT_OF_RANGE", "CURSOR_EXPIRED"),
        ):
            self.assertIn(reason, PAGE)
            self.assertEqual(CODES[REASONS[reason]], code)
