"""
Lists of ``twisted_registry.v1``, which are fetched page by page.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from twisted_registry.client._transport.replies import bad_reply
from twisted_registry.client.errors import InvalidRequest, Unsupported

T = TypeVar("T")

_MOST_SKIPPED: Final = 2**31 - 1

PAGE: Final = 100
"""The number of entries on a page.  With the largest metadata and labels allowed, they take 33 of the 64 MiB of a
reply."""


def set_place(request: Any, token: str, skip: int) -> None:
    """
    Set which page of a list to fetch.

    Args:
        request: the request of a page.
        token: the page's token; empty for the first page.
        skip: how many entries to leave out before the first page.

    Raises:
        InvalidRequest: the number of entries is negative, or too large.
    """
    if not 0 <= skip <= _MOST_SKIPPED:
        raise InvalidRequest(f"skip is {skip}; it must be from 0 to {_MOST_SKIPPED}")
    request.page_token = token
    request.skip = 0 if token else skip
    request.show_total_size = request.skip > 0


def with_place(page: Any, request: Any, listed: Sequence[Any]) -> Any:
    """
    Return a page from a server that can skip and count.

    Raises:
        Unsupported: the server cannot: it has ignored these fields of the request.
    """
    if request.show_total_size and len(listed) > max(0, page.total_size - request.skip):
        raise Unsupported("the server cannot skip or count the entries of a list; it is an older one")
    return page


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
