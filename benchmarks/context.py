"""
The shared parts of the suites: the amount of work, and its place.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from attrs import frozen

from benchmarks import servers
from benchmarks.case import Fact, Operation
from benchmarks.servers import HERE, Checkout, Server

Suite = Callable[["Context"], Iterator[Operation | Fact]]
"""Yields what is to be measured, and the figures that it measures itself.  Its servers run until it is resumed."""


@frozen
class Context:
    """
    One run.

    Attributes:
        directory: an empty folder, on the disk that is to be measured.
        short: only see that it works; its figures say nothing.
        checkout: the one whose registry and client library are measured.
    """

    directory: Path
    short: bool
    checkout: Checkout = HERE

    def registry(
        self, name: str, *flags: str, variables: Mapping[str, str] | None = None
    ) -> AbstractContextManager[Server]:
        """
        Run the registry, for the length of a context.

        Args:
            variables: environment variables.
        """
        return servers.registry(name, self.directory, *flags, checkout=self.checkout, variables=variables)

    def times(self, wanted: int) -> int:
        """
        Return how often to run an operation in each round.
        """
        return min(wanted, 2) if self.short else wanted
