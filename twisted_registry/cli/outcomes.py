"""
Sentences on what became of an interrupted call.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted_registry.cli.server import Server

if TYPE_CHECKING:
    from twisted_registry.client import BlockingClient


def outcome(server: Server, is_done: "Callable[[BlockingClient], bool] | None", fact: str, command: str) -> str:
    """
    Return a sentence on whether a call did its work.

    Args:
        is_done: asks the registry; ``None`` if it cannot know.
        fact: what is true if the work was done, as a clause.
        command: the words of the command that shows it.
    """
    if is_done is not None and server.poll(lambda client: is_done(client) or None):
        return fact
    return f"it is not known whether {fact}: 'twisted-registry {command}' shows it"
