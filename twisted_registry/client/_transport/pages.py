"""
Lists of ``twisted_registry.v1``, which are fetched page by page.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from twisted_registry.client._transport.replies import bad_reply

T = TypeVar("T")

PAGE: Final = 100
"""The number of entries on a page.  With the largest metadata and labels allowed, they take 33 of the 64 MiB of a
reply."""


async def entries(
    fetch: Callable[[str], Awaitable[Any]],
    values: Callable[[Any], Sequence[T]],
    model_id: str = "",
    most: int = PAGE,
) -> AsyncGenerator[T, None]:
    """
    Yield the entries of a list.

    Args:
        fetch: fetches the page of a token; the first page has none.
        values: returns the entries of a page, checked.
        model_id: the model that the list is about; empty for none.
        most: how many entries a page may have.

    Raises:
        BadReply: a page is too long, or does not lead forward.
    """
    seen = {""}
    token = ""
    while True:
        page = await fetch(token)
        found = values(page)
        if len(found) > most:
            raise bad_reply(f"its page has more than the {most} entries asked for", model_id)
        for entry in found:
            yield entry
        token = page.next_page_token
        if not token:
            return
        if token in seen or not found:
            raise bad_reply("its pages do not lead forward", model_id)
        seen.add(token)
