"""
Tests for the language lint.
"""

import io
from contextlib import redirect_stdout
from pathlib import Path
from textwrap import dedent

from twisted.trial.unittest import SynchronousTestCase

from tools.language import NEWS_COLUMNS, Config, check, check_page, check_python, check_script, main


def python(text: str) -> list[tuple[int, str]]:
    """
    Return the line and the words of each finding in a Python file.
    """
    return sorted((finding.line, finding.text) for finding in set(check_python("a.py", dedent(text))))


def page(text: str) -> list[tuple[int, str]]:
    """
    Return the line and the words of each finding in a page.
    """
    return sorted((finding.line, finding.text) for finding in set(check_page("a.md", dedent(text))))


class PythonTests(SynchronousTestCase):
    """
    Python files.
    """

    def test_docstrings_comments_and_texts(self) -> None:
        """
        All three are read, and each finding names its line.
        """
        text = '''\
        """
        Something that whoever asks is told.
        """
        # It comes
        # to rest.
        log.warn("the file was passed over")
        '''
        self.assertEqual(python(text), [(2, "told"), (2, "whoever"), (4, "comes to rest"), (6, "passed over")])

    def test_openings(self) -> None:
        """
        Functions begin with an imperative other than 'Give', classes and values with a noun.
        """
        text = '''\
        class A:
            """Keeps things."""
            def b(self):
                """Give a thing."""
            def c(self):
                """Keep a thing."""
            size = 1
            """What it holds."""
        '''
        self.assertEqual(python(text), [(2, "Keeps"), (4, "Give"), (8, "What")])

    def test_names(self) -> None:
        """
        The words of a name are compared, in snake case and camel case, in the singular and the plural.
        """
        self.assertEqual(python("told = 1\n"), [(1, "told")])
        self.assertEqual(python("def b(lanes): pass\n"), [(1, "lanes")])
        self.assertEqual(python("class BigWorkbench: pass\n"), [(1, "BigWorkbench")])
        self.assertEqual(python("benchmark = aggregate = interrogate = 1\n"), [])

    def test_code_is_skipped(self) -> None:
        """
        Code in a docstring is not prose, nor is a text without a space.
        """
        self.assertEqual(python('"""``told`` and `whoever`."""\nx = "told"\n'), [])

    def test_negations_that_are_plain(self) -> None:
        """
        'There is no' and 'is no longer' are plain; 'is no number' is not.
        """
        self.assertEqual(python('"""There is no file, and it is no longer open."""\n'), [])
        self.assertEqual(python('"""It is no number."""\n'), [(1, "is no")])

    def test_where_for_if(self) -> None:
        """
        'Where' at the beginning of a sentence is refused if it means 'if'; in a question it is not.
        """
        self.assertEqual(python('"""A thing. Where it fails, the call ends."""\n'), [(1, "Where it fails,")])
        self.assertEqual(python('"""A thing. Where is it?"""\n'), [])


class PageTests(SynchronousTestCase):
    """
    Markdown pages.
    """

    def test_prose(self) -> None:
        """
        A phrase is found on its line, also if it wraps.
        """
        self.assertEqual(page("# Title\n\nThey put\naside the file.\n"), [(3, "put aside")])

    def test_generated_tables_are_skipped(self) -> None:
        """
        The table of a report is made from results, which keep their words.
        """
        text = "<!-- the table: made -->\n| told |\n<!-- the end of the table -->\ntold\n"
        self.assertEqual(page(text), [(4, "told")])

    def test_code_and_targets_are_skipped(self) -> None:
        """
        Fenced blocks, code, comments and link targets are not prose.
        """
        self.assertEqual(page("```sh\necho told\n```\n`told` [a](told.md) <!-- told -->\n"), [])


class ScriptTests(SynchronousTestCase):
    """
    Other files.
    """

    def test_comments(self) -> None:
        """
        Only comments are read.
        """
        text = "# What is told.\nrun: told  ## It is told\nx = '#told'\n"
        self.assertEqual([each.line for each in check_script("Makefile", text)], [1, 2])


class NewsTests(SynchronousTestCase):
    """
    News fragments.
    """

    def test_width(self) -> None:
        """
        A line that is too long is refused in the folder of news, and nowhere else.
        """
        root = Path(self.mktemp()).absolute()
        for name in ("news", "docs"):
            (root / name).mkdir(parents=True)
            (root / name / "a.md").write_text(f"{'x' * NEWS_COLUMNS}\n{'x' * NEWS_COLUMNS}yz\n")
        found = check(["news", "docs"], Config(), root)
        self.assertEqual([(each.path, each.line, each.text) for each in found], [("news/a.md", 2, "yz")])


class CommandTests(SynchronousTestCase):
    """
    The command, in a folder with a configuration.
    """

    def setUp(self) -> None:
        """
        Write a configuration, a clean folder and an unclean one.
        """
        self.root = Path(self.mktemp()).absolute()
        for name in ("clean", "unclean", "generated"):
            (self.root / name).mkdir(parents=True)
        (self.root / "clean" / "a.py").write_text('"""A patience that is allowed."""\n')
        (self.root / "unclean" / "a.md").write_text("Whoever.\n")
        (self.root / "generated" / "a.md").write_text("Whoever.\n")
        (self.root / "pyproject.toml").write_text(
            '[tool.language]\nclean = ["clean"]\nexclude = ["generated"]\nallow = {"clean/a.py" = ["patience"]}\n'
        )

    def test_listed_paths_are_checked(self) -> None:
        """
        Without arguments the listed paths are checked; exceptions are respected.
        """
        self.assertEqual(main([], self.root), 0)

    def test_other_paths(self) -> None:
        """
        Any other path can be checked, except for what is excluded.
        """
        printed = io.StringIO()
        with redirect_stdout(printed):
            self.assertEqual(main([str(self.root / "unclean")], self.root), 1)
        self.assertTrue(printed.getvalue().startswith("unclean/a.md:1: 'Whoever': use "))
        self.assertEqual(main([str(self.root / "generated")], self.root), 0)

    def test_findings_are_sorted(self) -> None:
        """
        Findings are in the order of their paths and lines.
        """
        found = check(["unclean", "generated", "clean"], Config(), self.root)
        self.assertEqual([each.path for each in found], ["clean/a.py", "generated/a.md", "unclean/a.md"])
        self.assertEqual(str(found[1]), "generated/a.md:1: 'Whoever': use 'a client that', 'anyone who'")
