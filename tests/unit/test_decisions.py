"""
Tests of the index of decisions, docs/explanation/decisions/README.md.
"""

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

FOLDER = Path(__file__).parents[2] / "docs" / "explanation" / "decisions"
PAGES = sorted(FOLDER.glob("[0-9]*.md"))
ENTRIES: list[tuple[str, str]] = re.findall(
    r"^- \[(.+)\]\((.+)\)$", (FOLDER / "README.md").read_text(encoding="utf-8"), re.MULTILINE
)


class IndexTests(SynchronousTestCase):
    """
    The index compared with the pages.
    """

    def test_every_decision_is_listed_once(self) -> None:
        """
        The index has each page once, under its title.
        """
        titles = {page.name: page.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ") for page in PAGES}
        self.assertGreater(len(titles), 30)
        self.assertEqual(sorted((name, title) for title, name in ENTRIES), sorted(titles.items()))

    def test_numbers_are_distinct(self) -> None:
        """
        No two decisions have the same number, and the title has the number of the file.
        """
        numbers = [int(page.name[:4]) for page in PAGES]
        self.assertEqual(len(set(numbers)), len(numbers))
        for title, name in ENTRIES:
            self.assertEqual(title.partition(".")[0], str(int(name[:4])))

    def test_sections_are_in_order(self) -> None:
        """
        The decisions of each section are in the order of their numbers.
        """
        sections = (FOLDER / "README.md").read_text(encoding="utf-8").split("\n## ")[1:]
        for section in sections:
            numbers = [int(each) for each in re.findall(r"^- \[(\d+)\.", section, re.MULTILINE)]
            self.assertEqual(numbers, sorted(numbers))
