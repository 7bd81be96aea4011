"""
Tests for the texts, tables and exit statuses of the command line.
"""

import re
from io import StringIO

from hypothesis import given, strategies as st
from rich.console import Console
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.cli import text as text_of
from twisted_registry.cli.commands.prune import ranges
from twisted_registry.cli.errors import EXIT_STATUS_HELP, ExitStatus, status_for
from twisted_registry.cli.output import print_on_terminal, version_object
from twisted_registry.client import errors
from twisted_registry.domain.models import VersionInfo

_PRINTABLE = re.compile(r"[\x20-\x7e]*")


class TextTests(SynchronousTestCase):
    """
    Text for people.
    """

    @given(st.text(st.characters(), max_size=100))
    def test_harmless(self, text: str) -> None:
        """
        Any text from outside is printed as one line of printable ASCII.
        """
        for printed in (
            text_of.harmless(text),
            text_of.harmless_id(text),
            text_of.harmless_line(text),
            text_of.pairs({text: text}),
        ):
            self.assertIsNotNone(_PRINTABLE.fullmatch(printed), printed)

    def test_plain_ids(self) -> None:
        """
        Ids of letters, digits and common signs are printed unchanged; others are quoted, in full.
        """
        self.assertEqual(text_of.harmless_id("team/walker@v3.1:a+b~c"), "team/walker@v3.1:a+b~c")
        self.assertEqual(text_of.harmless_id("two words"), "'two words'")
        self.assertEqual(len(text_of.harmless_id("\xe9" * 100)), 402)

    def test_numbers(self) -> None:
        """
        Sizes are decimal; times are in their largest unit.
        """
        sizes = {0: "0 bytes", 999: "999 bytes", 1000: "1.0 kB", 10_000_000: "10.0 MB", 3 * 10**12: "3.0 TB"}
        self.assertEqual({size: text_of.size(size) for size in sizes}, sizes)
        durations = {-3: "0 s", 0.5: "0 s", 59: "59 s", 60: "1 min", 7200: "2 h", 86_400 * 500: "500 d"}
        self.assertEqual({seconds: text_of.duration(seconds) for seconds in durations}, durations)

    def test_moments(self) -> None:
        """
        In JSON a timestamp is exact to the nanosecond, over the whole range of the wire.
        """
        moments = {
            0: "1970-01-01T00:00:00.000000000Z",
            1_700_000_000_123_456_789: "2023-11-14T22:13:20.123456789Z",
            2**64 - 1: "2554-07-21T23:34:33.709551615Z",
        }
        for created_ns, expected in moments.items():
            fields = version_object(VersionInfo("m", 1, created_ns, False, "", 0))
            self.assertEqual((fields["created"], fields["created_ns"]), (expected, created_ns))


class RangesTests(SynchronousTestCase):
    """
    Numbers as ranges.
    """

    def test_ranges(self) -> None:
        """
        Neighboring numbers are a range, and of many ranges only some are printed.
        """
        self.assertEqual(ranges([]), "")
        self.assertEqual(ranges([1, 2, 3, 7, 9, 10]), "1-3 7 9-10")
        self.assertEqual(ranges(range(1, 101, 2)), " ".join([*map(str, range(1, 41, 2)), "..."]))


class TableTests(SynchronousTestCase):
    """
    Tables on a terminal.
    """

    def printed(self, cell: str, width: int) -> str:
        """
        Print a table of one row on a terminal.
        """
        file = StringIO()
        print_on_terminal(Console(file=file, force_terminal=True, width=width), (">N", "TEXT"), [("1", cell)])
        return re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue())

    def test_nothing_is_lost(self) -> None:
        """
        Cells that do not fit are wrapped, not cut.
        """
        shown = self.printed("0123456789" * 5, 20)
        self.assertEqual("".join(shown.split()), "NTEXT1" + "0123456789" * 5)

    def narrow(self, *rows: tuple[str, ...], heads: tuple[str, ...] = ("ALIAS", ">VERSION", "MOVED", "?REASON")) -> str:
        """
        Print a table on a terminal of 40 columns.
        """
        file = StringIO()
        print_on_terminal(Console(file=file, width=40), heads, rows)
        lines = [line.rstrip() for line in file.getvalue().splitlines()]
        self.assertLessEqual(max(map(len, lines)), 40)
        return "\n".join(lines)

    def test_narrow_terminal(self) -> None:
        """
        If a row does not fit without splitting words, it is a block with a line for each cell that is not empty.
        """
        moved = "1970-01-01 00:00:02Z"
        shown = self.narrow(("production-eu", "12", moved, "a reason"), ("b", "3", moved, ""))
        self.assertEqual(
            shown,
            f"ALIAS    production-eu\nVERSION  12\nMOVED    {moved}\nREASON   a reason\n\n"
            f"ALIAS    b\nVERSION  3\nMOVED    {moved}",
        )

    def test_narrow_table(self) -> None:
        """
        If cells fit when they are wrapped between words, the table stays a table.
        """
        shown = self.narrow(("walker", "two words, and some more of them"), heads=("MODEL", "METADATA"))
        self.assertEqual(shown.splitlines()[0], "MODEL   METADATA")
        self.assertEqual(" ".join(shown.split()), "MODEL METADATA walker two words, and some more of them")

    def test_empty_columns(self) -> None:
        """
        A column that may be left out is, if all its cells are empty.
        """
        self.assertEqual(self.narrow(("a", ""), ("b", ""), heads=("A", "?B")), "A\na\nb")
        self.assertEqual(self.narrow(("a", "x"), ("b", ""), heads=("A", "?B")), "A  B\na  x\nb")

    def test_no_markup(self) -> None:
        """
        Text that looks like markup, or like an emoji's name, is printed unchanged.
        """
        self.assertIn("'[red]x[/red] :smile:'", self.printed("'[red]x[/red] :smile:'", 80))

    def test_no_rows(self) -> None:
        """
        A table without rows prints nothing, not even the header.
        """
        file = StringIO()
        print_on_terminal(Console(file=file, force_terminal=True), ("A",), [])
        self.assertEqual(file.getvalue(), "")


class ExitTests(SynchronousTestCase):
    """
    Exit statuses.
    """

    def test_errors(self) -> None:
        """
        The status is 3 if the registry cannot be reached or is too slow, 4 if it is not known whether a version exists,
        and 1 if the registry refuses or does not have it.
        """
        away = [
            errors.Unavailable("x"),
            errors.Unreachable("x", "localhost:1"),
            errors.DeadlineExceeded("x"),
            errors.StorageUnavailable("x"),
            errors.TooManyOpenFiles("x"),
        ]
        refused = [
            errors.UnknownModel("m"),
            errors.UnknownVersion("m", 1),
            errors.CorruptTransfer("m", 1, "x"),
            errors.StorageFull("x"),
            errors.NotPermitted("x"),
        ]
        self.assertEqual({status_for(error) for error in away}, {ExitStatus.UNREACHABLE})
        uncertain = (errors.CreationUncertain("m", "x"), errors.CommitUncertain("m"))
        self.assertEqual({status_for(error) for error in uncertain}, {ExitStatus.UNCERTAIN})
        self.assertEqual({status_for(error) for error in refused}, {ExitStatus.FAILED})

    def test_all_are_explained(self) -> None:
        """
        The help explains each status.
        """
        self.assertEqual(set(map(int, re.findall(r"\b\d+\b", EXIT_STATUS_HELP))), set(map(int, ExitStatus)))
