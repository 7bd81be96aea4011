"""
Pages of the documentation of which a part is generated, and stands between two comments.
"""

from collections.abc import Iterable

from attrs import frozen


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """
    Write a table.
    """
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ("---",) * len(head), *rows))


@frozen
class Part:
    """
    The generated part of a page.

    Attributes:
        begin: the comment it begins with.
        end: the comment it ends with.
    """

    begin: str
    end: str

    def of(self, *paragraphs: str) -> str:
        """
        Write it.
        """
        return "\n\n".join((self.begin, *paragraphs, self.end))

    def put(self, part: str, page: str) -> str:
        """
        Put it into a page, in place of the one that is there.
        """
        before, _, rest = page.partition(self.begin)
        return before + part + rest.partition(self.end)[2]


def described(machine: dict[str, str]) -> str:
    """
    Describe the machine of a run.
    """
    return f"Run on: {'; '.join(f'{what}: {value}' for what, value in machine.items())}."
