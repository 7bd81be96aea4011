"""
Tests for the generator of the tables in docs/reference/command-line.md.
"""

import click
from twisted.trial.unittest import SynchronousTestCase

from tools.command_line_page import PAGE, commands, page, part


class PartTests(SynchronousTestCase):
    """
    The generated parts of the page.
    """

    def test_every_option(self) -> None:
        """
        Each option of each command is in the command's table or in the table of shared options.
        """
        shared = part("all commands")
        for name, command in commands().items():
            for option in command.params:
                if isinstance(option, click.Option):
                    self.assertIn(option.opts[-1], part(name) + shared, name)

    def test_usage(self) -> None:
        """
        A command's part begins with its usage, and a subcommand has its whole name.
        """
        self.assertIn("Usage: `twisted-registry archive verify [OPTIONS] DIR`\n", part("archive verify"))

    def test_limits(self) -> None:
        """
        A default and a range are in parentheses after the meaning.
        """
        self.assertIn(
            "| `--jobs N` | Verify N files at once; by default two per processor, at most 16. (1 to 64) |\n",
            part("archive verify"),
        )

    def test_flag(self) -> None:
        """
        A shared option without a value is named alone.
        """
        self.assertIn("| `--tls` | `TWISTED_REGISTRY_TLS` |", part("all commands"))

    def test_own_options(self) -> None:
        """
        The table of 'health' has its own '--server', because that differs from the shared one.
        """
        self.assertIn("`--server HOST:PORT`", part("health"))
        self.assertNotIn("`--server HOST:PORT`", part("push"))


class PageTests(SynchronousTestCase):
    """
    The whole page.
    """

    def test_prose_stays(self) -> None:
        """
        The text around the parts stays, and an old part is replaced.
        """
        text = PAGE.read_text()
        changed = text.replace("| `--once` |", "| `--twice` |").replace("## Output", "## Another title")
        self.assertNotEqual(page(changed), changed)
        self.assertIn("## Another title", page(changed))
        self.assertNotIn("--twice", page(changed))

    def test_missing_part(self) -> None:
        """
        A page without the part of a command is refused.
        """
        text = PAGE.read_text().replace("<!-- the table: watch -->", "")
        self.assertRaises(ValueError, page, text)
