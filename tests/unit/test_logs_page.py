"""
Tests for the guide to the logs.
"""

import re
from pathlib import Path

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.test_access_log import RECORD
from twisted_registry.config.logging import LOG_LEVELS
from twisted_registry.observability.access_log import fields_of
from twisted_registry.observability.log_lines import FIELDS

PAGE = (Path(__file__).parents[2] / "docs" / "guides" / "logs.md").read_text(encoding="utf-8")


def rows(section: str) -> list[str]:
    """
    Return the first columns of the table of a section.
    """
    (text,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    return re.findall(r"^\| `([a-z_]+)` \|", text, re.MULTILINE)


class PageTests(SynchronousTestCase):
    """
    The page lists what there is.
    """

    def test_fields(self) -> None:
        """
        It lists all fields of lines in JSON, and no others.
        """
        record = evolve(
            RECORD,
            identity="token:a",
            token_id="b",
            model_id="m",
            reference="m@1",
            version_number=1,
            reason="UNKNOWN_MODEL",
            sent_bytes=1,
            sent_messages=1,
        )
        names = {name for name, _ in fields_of(record, 0.01)}
        self.assertEqual(
            set(rows("Fields")),
            {"time", "level", "logger", "message", "traceback", *FIELDS.values(), *names},
        )

    def test_levels(self) -> None:
        """
        It lists all levels.
        """
        self.assertEqual(rows("Levels"), list(LOG_LEVELS))
