"""
Followers: the streams that clients follow models with.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

from attrs import define, frozen

from twisted_registry.domain.access import Scope, may_read_all
from twisted_registry.domain.errors import InvalidRequest, shown

_MOST_DIGITS = 18


@frozen
class Following:
    """
    The subject of a stream, and the client.

    Attributes:
        model_id: the model; empty for several.
        prefix: the beginning of the models' ids, if the stream is about several; empty for all.
        stream: the name of the call.
        actor: who follows; empty without access control.
        peer: the address of the client, in gRPC's form.
        may_read: returns whether the client may read a model.
    """

    model_id: str
    stream: str
    actor: str
    peer: str
    prefix: str = ""
    may_read: Callable[[str], bool] = may_read_all

    @property
    def scope(self) -> Scope:
        """
        The model or models that the stream is about.
        """
        return Scope(self.model_id) if self.model_id else Scope(self.prefix, is_prefix=True)

    def concerns(self, model_id: str) -> bool:
        """
        Return whether the stream shows a model.
        """
        if self.model_id:
            return self.model_id == model_id
        return model_id.startswith(self.prefix) and self.may_read(model_id)


@define(eq=False)
class Follower:
    """
    A stream.

    Attributes:
        sequence: counts the streams, from 1.
        following: the subject, and the client.
        began_ns: when it began, in nanoseconds since the Unix epoch.
        last_number: the last version that it was sent; 0 if there was none, or if it is about several models.
        last_ns: when it was last sent something; 0 if it was not.
    """

    sequence: int
    following: Following
    began_ns: int
    _now_ns: Callable[[], int]
    last_number: int = 0
    last_ns: int = 0

    def note_sent(self, version_number: int = 0) -> None:
        """
        Record that the client was sent something.

        Args:
            version_number: the number of the version; 0 if it was something else.
        """
        self.last_ns = self._now_ns()
        if version_number and self.following.model_id:
            self.last_number = version_number


@frozen
class FollowersPage:
    """
    A page of streams.

    Attributes:
        followers: the streams, the oldest first.
        next_token: continues the list; empty at its end.
        total: how many streams the list has.
    """

    followers: Sequence[Follower]
    next_token: str
    total: int


class Followers:
    """
    The streams under way.  Used in the thread of the use cases.
    """

    def __init__(self, now_ns: Callable[[], int] = time.time_ns) -> None:
        """

        Args:
            now_ns: returns the time in nanoseconds since the Unix epoch.
        """
        self._now_ns = now_ns
        self._last = 0
        # Streams by their sequence, for each model, and under an empty id for several models.
        self._by_model: dict[str, dict[int, Follower]] = {}

    @contextmanager
    def add(self, following: Following) -> Iterator[Follower]:
        """
        Return a context in which a stream is under way.
        """
        self._last += 1
        follower = Follower(self._last, following, self._now_ns(), self._now_ns)
        of_model = self._by_model.setdefault(following.model_id, {})
        of_model[follower.sequence] = follower
        try:
            yield follower
        finally:
            del of_model[follower.sequence]
            if not of_model:
                self._by_model.pop(following.model_id, None)

    def page(
        self, model_id: str, size: int, token: str, is_visible: Callable[[Following], bool] = lambda _: True
    ) -> FollowersPage:
        """
        Return a page of streams, the oldest first.

        Args:
            model_id: the model that they show; empty for all streams.
            size: the most streams of the page.
            token: ``next_token`` of the page before; empty to begin.
            is_visible: returns whether a stream is shown in a list of all.

        Raises:
            InvalidRequest: the token does not continue such a list.
        """
        after = _sequence(token)
        found = self._of_model(model_id) if model_id else [each for each in self._all() if is_visible(each.following)]
        rest = (follower for follower in found if follower.sequence > after)
        page = list(islice(rest, size + 1))
        return FollowersPage(page[:size], str(page[size - 1].sequence) if len(page) > size else "", len(found))

    def _all(self) -> list[Follower]:
        everything = (follower for of_model in self._by_model.values() for follower in of_model.values())
        return sorted(everything, key=lambda follower: follower.sequence)

    def _of_model(self, model_id: str) -> list[Follower]:
        several = self._by_model.get("", {}).values()
        concerned = [follower for follower in several if follower.following.concerns(model_id)]
        return sorted([*self._by_model.get(model_id, {}).values(), *concerned], key=lambda each: each.sequence)


def _sequence(token: str) -> int:
    if not token:
        return 0
    if not (token.isascii() and token.isdecimal() and len(token) <= _MOST_DIGITS):
        raise InvalidRequest(f"{shown(token)} is not a page token; use the next_page_token of the page before")
    return int(token)
