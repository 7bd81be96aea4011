"""
The git repository that a release is made in.
"""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from release import Refused


def output_of(name: str, command: Sequence[str], folder: Path) -> str:
    """
    Run a program.

    Args:
        name: the program's name in an error.

    Returns:
        its stdout.

    Raises:
        Refused: it failed; the text has the last line of its output.
    """
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise Refused(f"{name}: {lines[-1] if lines else f'exited with {done.returncode}'}")
    return done.stdout


@frozen
class Repository:
    """
    A checkout.

    Attributes:
        root: its directory.
    """

    root: Path

    def require_clean(self) -> None:
        """
        Check that everything is committed.

        Raises:
            Refused: something is not, or the directory is not a checkout.
        """
        # Otherwise git would take a repository around this directory.
        if not (self.root / ".git").exists():
            raise Refused(f"{self.root} is not a checkout of git")
        if self._git("status", "--porcelain"):
            raise Refused("there are changes that are not committed: commit or stash them first (git status)")

    def require_new(self, kind: str, name: str) -> None:
        """
        Check that a branch or a tag does not exist.

        Args:
            kind: ``branch`` or ``tag``.

        Raises:
            Refused: it exists.
        """
        if self._git(kind, "--list", name):
            raise Refused(f"the {kind} {name} exists already")

    @contextmanager
    def new_branch(self, name: str) -> Iterator[None]:
        """
        Check out a new branch.  If the block fails, the former state is restored, which must have been clean.
        """
        self._git("checkout", "-b", name)
        try:
            yield
        except BaseException:
            self._git("reset", "--hard")
            self._git("checkout", "-")
            self._git("branch", "--delete", "--force", name)
            raise

    def commit(self, message: str) -> None:
        """
        Commit all changes.
        """
        self._git("commit", "--all", "--message", message)

    def tag(self, name: str, message: str) -> None:
        """
        Tag the commit that is checked out.
        """
        # By default git takes the headings of the message for comments.
        self._git("tag", "--annotate", "--cleanup=whitespace", "--message", message, name)

    def require_unchanged_since(self, path: Path, line: str, but: Path) -> None:
        """
        Check that only one file has changed since the commit that last changed a line; for a merge, since the merge.

        Args:
            path: the file with the line.
            line: a regular expression that finds the line.
            but: the file that may have changed.

        Raises:
            Refused: others have.
        """
        commit = self._git("log", "-1", "--first-parent", "--format=%h", f"-G{line}", "--", str(path)).strip()
        if self._git("diff", "--name-only", commit, "HEAD", "--", ".", f":(exclude){but}"):
            raise Refused(f"there have been changes since {commit} set the version: check out that commit and tag it")

    def _git(self, *words: str) -> str:
        return output_of(f"git {words[0]}", ["git", *words], self.root)
