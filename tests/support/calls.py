"""
Stand-ins for gRPC's side of a call.
"""

from collections.abc import Callable
from typing import Any

from attrs import define, field


@define(eq=False)
class Call:
    """
    A call that ends when it is told to.

    Attributes:
        name: whose it is.
    """

    name: str
    callbacks: list[Callable[[Any], None]] = field(factory=list)

    def peer(self) -> str:
        """
        Say whose call it is.
        """
        return self.name

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """
        Note what is to be called when the call is over.
        """
        self.callbacks.append(callback)

    def end(self) -> None:
        """
        Be over.
        """
        for callback in self.callbacks:
            callback(self)
