"""
Tests of the guide on promotion: its commands run, in its order, and print what it shows.
"""

import os
import re
from pathlib import Path

from tests.support.cli import TWISTED_REGISTRY, settings
from tests.support.edge import EdgeTestCase
from tests.support.guide import blocks, run_shell

PAGE = (Path(__file__).parents[2] / "docs" / "guides" / "promote.md").read_text()

_VARYING = ((r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", "TIME"), (r"\b\d+ (s|min)\b", "AGE"))
"""Patterns of what differs from run to run, with what the page shows instead."""


class PageTests(EdgeTestCase):
    """
    The page's commands in an empty directory, with one registry.
    """

    def output(self, command: str) -> str:
        """
        Run a block, and return what it prints, with stderr.
        """
        environment = settings(self.daemon.address)
        environment["PATH"] = f"{os.path.dirname(TWISTED_REGISTRY)}:{os.environ['PATH']}"
        printed = run_shell(self.directory, command, environment).stdout
        for pattern, shown in _VARYING:
            printed = re.sub(pattern, shown, printed)
        return printed

    def test_page(self) -> None:
        """
        Each block of commands prints the block of text that follows it.
        """
        found = blocks(PAGE)
        self.assertEqual([each.language for each in found], ["sh", "text"] * (len(found) // 2))
        self.assertGreater(len(found), 10)
        for command, text in zip(found[::2], found[1::2], strict=True):
            self.assertEqual(self.output(command.text), text.text)
