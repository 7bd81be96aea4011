"""
Tests of docs/glossary.md.
"""

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

PAGE = (Path(__file__).parents[2] / "docs" / "glossary.md").read_text(encoding="utf-8")
TERMS: list[str] = re.findall(r"^\*\*(.+?)\*\*", PAGE.partition("## ")[0], re.MULTILINE)


class GlossaryTests(SynchronousTestCase):
    """
    The page's terms.
    """

    def test_order(self) -> None:
        """
        Each term is there once, and they are sorted.
        """
        self.assertGreater(len(TERMS), 40)
        self.assertEqual(TERMS, sorted({*TERMS}, key=str.casefold))
