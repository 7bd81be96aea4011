"""
What is asked of git.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from release._command import output_of
from release._refusal import Refused


@frozen
class Repository:
    """
    A checkout.

    Attributes:
        root: its folder.
    """

    root: Path

    def require_clean(self) -> None:
        """
        See that what is in the folder is what is committed.

        Raises:
            Refused: where it is not.
        """
        # Otherwise git would take a repository around this folder.
        if not (self.root / ".git").exists():
            raise Refused(f"{self.root} is no checkout of git")
        if self._git("status", "--porcelain"):
            raise Refused("there are changes that are not committed: commit or stash them first (git status)")

    def require_new(self, kind: str, name: str) -> None:
        """
        See that there is no such branch or tag.

        Args:
            kind: ``branch`` or ``tag``.

        Raises:
            Refused: where there is one.
        """
        if self._git(kind, "--list", name):
            raise Refused(f"there is a {kind} {name} already")

    @contextmanager
    def new_branch(self, name: str) -> Iterator[None]:
        """
        Be on a new branch.  Where the block fails, all is put back as it was, which must have been clean.
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
        Commit all that has changed.
        """
        self._git("commit", "--all", "--message", message)

    def tag(self, name: str, message: str) -> None:
        """
        Tag what is checked out.
        """
        # Left to itself, git takes the headlines of the message for comments.
        self._git("tag", "--annotate", "--cleanup=whitespace", "--message", message, name)

    def last_change(self, path: Path, line: str) -> str:
        """
        Give the commit that last changed a line; where it came by a merge, the merge.

        Args:
            line: an expression that finds the line.
        """
        found = self._git("log", "-1", "--first-parent", "--format=%h", f"-G{line}", "--", str(path))
        return found.strip()

    def differs(self, commit: str, but: Path) -> bool:
        """
        Say whether what is checked out differs from a commit, in any file but one.
        """
        return bool(self._git("diff", "--name-only", commit, "HEAD", "--", ".", f":(exclude){but}"))

    def _git(self, *words: str) -> str:
        return output_of(f"git {words[0]}", ["git", *words], self.root)
