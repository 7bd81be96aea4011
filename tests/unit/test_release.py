"""
Tests for the release tooling.
"""

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

from packaging.version import Version
from twisted.trial.unittest import SynchronousTestCase

from release import Refused
from release.changes import SOURCE, STEPS, kinds_in, next_version, version_of

ROOT = Path(__file__).parents[2]
COPIED = ("release", "pyproject.toml", "news/README.md")

CHANGELOG = """# Changelog

What stands before the sections.

<!-- towncrier release notes start -->

## [0.3.0] - 2026-01-02

### Fixed

- What was wrong.
"""

WHO = {"NAME": "A Person", "EMAIL": "person@example.org"}

# git must not see the machine's configuration, nor the variables of a hook that runs the tests.
ENVIRONMENT: Mapping[str, str] = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
    **{f"GIT_{role}_{what}": said for role in ("AUTHOR", "COMMITTER") for what, said in WHO.items()},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}

NEW_SECTION = """## [0.4.0] - {day}

### Added

- Something new,
  in two lines.

### Fixed

- Something repaired.


"""

STRANGERS = ("+a.feature", "+a.fature.md", "a.feature.md", "+a.md", "feature.md", "+a.feature.1.md", ".feature.md")

NEXT = [
    ("0.1.0.dev0", "feature", "0.1.0"),
    ("0.1.0.dev0", "breaking", "0.1.0"),
    ("0.1.0.dev0", "misc", "0.1.0"),
    ("1.0.0.dev3", "fix", "1.0.0"),
    ("0.1.0", "breaking", "0.2.0"),
    ("0.1.3", "feature", "0.2.0"),
    ("0.1.3", "fix", "0.1.4"),
    ("0.1.9", "docs misc", "0.1.10"),
    ("1.2.3", "breaking", "2.0.0"),
    ("1.2.3", "misc breaking fix feature", "2.0.0"),
    ("1.2.3", "fix feature fix", "1.3.0"),
    ("1.2.3", "fix", "1.2.4"),
    ("1.2.3", "docs", "1.2.4"),
    ("1.2.3", "misc", "1.2.4"),
]


class VersionTests(SynchronousTestCase):
    """
    The version that comes next.
    """

    def test_table(self) -> None:
        """
        It follows from the current version and from the kinds of the fragments.
        """
        found = [(current, kinds, str(next_version(version_of(current), kinds.split()))) for current, kinds, _ in NEXT]
        self.assertEqual(found, NEXT)

    def test_nothing_new(self) -> None:
        """
        It is refused without a fragment, also after a version that was chosen by hand.
        """
        for current in "0.1.0.dev0", "1.2.3":
            self.assertRaises(Refused, next_version, Version(current), [])

    def test_other_forms(self) -> None:
        """
        A version of another form is refused.
        """
        for text in "1.2", "1.2.3rc1", "1.2.3.post1", "1.2.3+local", "v1.2.3", "":
            self.assertRaises(Refused, version_of, text)


class FragmentTests(SynchronousTestCase):
    """
    The fragments in news/.
    """

    def test_all_are_of_known_kinds(self) -> None:
        """
        Every file there is a fragment, so that none is lost.
        """
        self.assertLessEqual(set(kinds_in(ROOT)), set(STEPS))

    def test_strangers(self) -> None:
        """
        A file whose name has no known kind is refused, and the error names it.
        """
        root = Path(self.mktemp())
        (root / "news").mkdir(parents=True)
        for name in STRANGERS:
            path = root / "news" / name
            path.touch()
            self.assertIn(f"news/{name} is not a fragment", str(self.assertRaises(Refused, kinds_in, root)))
            path.unlink()

    def test_kinds_are_those_of_towncrier(self) -> None:
        """
        Each kind that raises a version has a heading in the changelog, and the other way round.
        """
        configuration = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["towncrier"]
        self.assertEqual([kind["directory"] for kind in configuration["type"]], list(STEPS))

    def test_kinds_are_documented(self) -> None:
        """
        The page in news/ has a row for each kind.
        """
        page = (ROOT / "news" / "README.md").read_text()
        self.assertEqual([kind for kind in STEPS if f"| `{kind}` |" not in page], [])


class RepositoryTestCase(SynchronousTestCase):
    """
    A repository with everything that a release needs, at 0.3.0, with a new feature and a new fix.
    """

    def setUp(self) -> None:
        self.root = Path(self.mktemp())
        for name in COPIED:
            self.copy(name)
        self.write(str(SOURCE), '"""A package."""\n\n__version__ = "0.3.0"\n')
        self.write("CHANGELOG.md", CHANGELOG)
        self.write("news/+new.feature.md", "Something new,\nin two lines.\n")
        self.write("news/+repaired.fix.md", "Something repaired.\n")
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit("A start")

    def copy(self, name: str) -> None:
        """
        Copy a file or a directory of this repository.
        """
        target = self.root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, target)

    def write(self, name: str, text: str) -> None:
        """
        Write a file.
        """
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def read(self, name: str) -> str:
        """
        Read a file.
        """
        return (self.root / name).read_text()

    def run_in(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """
        Run a program in the repository.
        """
        return subprocess.run(command, cwd=self.root, env=ENVIRONMENT, capture_output=True, text=True, check=False)

    def git(self, *words: str) -> str:
        """
        Run git, which must succeed.

        Returns:
            its output.
        """
        done = self.run_in("git", *words)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def commit(self, message: str) -> None:
        """
        Commit everything.
        """
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def release(self, *words: str) -> str:
        """
        Run ``python -m release``, which must succeed.

        Returns:
            its output.
        """
        done = self.run_in(sys.executable, "-m", "release", *words)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def assert_refused(self, why: str, *words: str) -> None:
        """
        Assert that ``python -m release`` fails, with one line that says why, and changes nothing.
        """
        before = self.state()
        done = self.run_in(sys.executable, "-m", "release", *words)
        self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)
        self.assertIn(why, done.stderr)
        self.assertEqual(self.state(), before)

    def state(self) -> tuple[str, ...]:
        """
        Return everything that a release could change: the branch, all branches and tags, and uncommitted changes.
        """
        return (
            self.git("symbolic-ref", "HEAD"),
            self.git("for-each-ref"),
            self.git("status", "--porcelain"),
        )

    def fragments(self) -> list[str]:
        """
        Return the names of the fragments.
        """
        return sorted(path.name for path in (self.root / "news").iterdir() if path.name != "README.md")


class BranchTests(RepositoryTestCase):
    """
    The next version is written on a new branch.
    """

    def test_branch(self) -> None:
        """
        It has one more commit, named after the version, and nothing is uncommitted.
        """
        self.assertIn("0.3.0 -> 0.4.0", self.release("branch"))
        self.assertEqual(self.git("log", "--format=%s", "main.."), "Version 0.4.0")
        self.assertEqual(self.git("symbolic-ref", "--short", "HEAD"), "release-0.4.0")
        self.assertEqual(self.git("status", "--porcelain"), "")

    def test_version(self) -> None:
        """
        The package has the version, and nothing else in its file changes.
        """
        self.release("branch")
        self.assertEqual(self.read(str(SOURCE)), '"""A package."""\n\n__version__ = "0.4.0"\n')

    def test_changelog(self) -> None:
        """
        The changelog has one more section, above the others and in their form.
        """
        self.release("branch")
        day = self.git("log", "-1", "--format=%cd", "--date=short-local")
        head, headline, older = CHANGELOG.partition("## [0.3.0]")
        self.assertEqual(self.read("CHANGELOG.md"), head + NEW_SECTION.format(day=day) + headline + older)

    def test_first_section(self) -> None:
        """
        The very first section ends the changelog.
        """
        self.write("CHANGELOG.md", CHANGELOG.partition("\n## [0.3.0]")[0])
        self.commit("No sections")
        self.release("branch")
        self.assertEqual(self.read("CHANGELOG.md")[-len("\n- Something repaired.\n") :], "\n- Something repaired.\n")

    def test_fragments(self) -> None:
        """
        The fragments are removed, and the page that describes them is not.
        """
        self.release("branch")
        self.assertEqual([path.name for path in (self.root / "news").iterdir()], ["README.md"])

    def test_dry_run(self) -> None:
        """
        A dry run prints the version and its section, and changes nothing.
        """
        before = self.state()
        said = self.release("branch", "--dry-run")
        for part in "0.3.0 -> 0.4.0", "release-0.4.0", "## [0.4.0] - ", "- Something repaired.":
            self.assertIn(part, said)
        self.assertEqual(self.state(), before)

    def test_uncommitted(self) -> None:
        """
        It is refused while something is uncommitted.
        """
        self.write("news/+more.fix.md", "More.\n")
        self.assert_refused("not committed", "branch")

    def test_no_fragments(self) -> None:
        """
        A release is refused if there are no fragments.
        """
        self.git("rm", "--quiet", *(f"news/{name}" for name in self.fragments()))
        self.commit("No news")
        self.assert_refused("nothing to release", "branch")

    def test_stranger(self) -> None:
        """
        It is refused if a file in news/ would be lost.
        """
        self.write("news/+more.bugfix.md", "More.\n")
        self.commit("A fragment of no kind")
        self.assert_refused("+more.bugfix.md is not a fragment", "branch")

    def test_branch_exists(self) -> None:
        """
        It is refused if the branch exists.
        """
        self.git("branch", "release-0.4.0")
        self.assert_refused("the branch release-0.4.0 exists already", "branch")

    def test_tag_exists(self) -> None:
        """
        It is refused if the tag exists.
        """
        self.git("tag", "v0.4.0")
        self.assert_refused("the tag v0.4.0 exists already", "branch")

    def test_failure_midway(self) -> None:
        """
        If it fails midway, the former state is restored.
        """
        hook = self.root / ".git" / "hooks" / "pre-commit"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text("#!/bin/sh\necho 'not today' >&2\nexit 1\n")
        hook.chmod(0o755)
        self.assert_refused("not today", "branch")

    def test_no_repository(self) -> None:
        """
        It is refused outside a checkout.
        """
        shutil.move(self.root / ".git", f"{self.root}.git")
        done = self.run_in(sys.executable, "-m", "release", "branch")
        self.assertEqual(done.returncode, 1)
        self.assertIn("is not a checkout", done.stderr)


class TagTests(RepositoryTestCase):
    """
    A version is tagged at its commit.
    """

    def setUp(self) -> None:
        super().setUp()
        self.release("branch")

    def set_version(self, version: str) -> None:
        """
        Commit another version of the package.
        """
        self.write(str(SOURCE), f'__version__ = "{version}"\n')
        self.commit(f"Version {version}")

    def test_message(self) -> None:
        """
        The tag is annotated, and its message is the section of the version, with its headings.
        """
        self.assertIn("v0.4.0", self.release("tag"))
        self.assertEqual(self.git("cat-file", "-t", "v0.4.0"), "tag")
        section = self.read("CHANGELOG.md").partition("\n## [0.3.0]")[0].partition("start -->\n")[2]
        self.assertEqual(self.git("tag", "--list", "--format=%(contents)"), section.strip())

    def test_commit(self) -> None:
        """
        It is on the commit that is checked out.
        """
        self.release("tag")
        self.assertEqual(self.git("rev-parse", "v0.4.0^{commit}"), self.git("rev-parse", "HEAD"))

    def test_merged(self) -> None:
        """
        After a merge it is on the merge, also if the target branch had moved on.
        """
        self.git("checkout", "--quiet", "main")
        self.write("meanwhile.py", "")
        self.commit("Meanwhile")
        self.git("merge", "--quiet", "--no-edit", "release-0.4.0")
        self.release("tag")
        self.assertEqual(self.git("describe", "main"), "v0.4.0")

    def test_better_words(self) -> None:
        """
        The changelog may have changed since, and the tag has the newer words.
        """
        self.write("CHANGELOG.md", self.read("CHANGELOG.md").replace("Something new", "Something wonderful"))
        self.commit("Better words")
        self.release("tag")
        self.assertIn("Something wonderful", self.git("tag", "--list", "--format=%(contents)"))

    def test_uncommitted(self) -> None:
        """
        It is refused while something is uncommitted.
        """
        self.write("CHANGELOG.md", CHANGELOG)
        self.assert_refused("not committed", "tag")

    def test_twice(self) -> None:
        """
        It is refused if the tag exists.
        """
        self.release("tag")
        self.assert_refused("the tag v0.4.0 exists already", "tag")

    def test_fragments(self) -> None:
        """
        It is refused if there are fragments, which the version does not contain.
        """
        self.write("news/+more.fix.md", "More.\n")
        self.commit("A fragment")
        self.assert_refused("there are fragments in news/", "tag")

    def test_other_version(self) -> None:
        """
        A tag is refused if the topmost section is that of another version.
        """
        self.set_version("0.5.0")
        self.assert_refused("has 0.5.0, but CHANGELOG.md begins with 0.4.0", "tag")

    def test_no_section(self) -> None:
        """
        It is refused if the changelog has no sections.
        """
        self.write("CHANGELOG.md", "# Changelog\n")
        self.commit("No sections")
        self.assert_refused("no section", "tag")

    def test_named_by_hand(self) -> None:
        """
        It is refused for a development version.
        """
        self.set_version("0.4.0.dev0")
        self.assert_refused("not released yet", "tag")

    def test_later_commits(self) -> None:
        """
        It is refused where more than the changelog has changed since, and the right commit is named.
        """
        made = self.git("rev-parse", "--short", "HEAD")
        self.write("more.py", "")
        self.commit("More")
        self.assert_refused(f"there have been changes since {made} set the version", "tag")
