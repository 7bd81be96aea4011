"""
What the clients of a daemon know: what they sent, what was acknowledged, and every number anybody was told.
"""

import hashlib
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any

from attrs import define, field, frozen


def make_data(token: str, size_bytes: int) -> bytes:
    """
    Make the data of a version: it says over and over whose it is.
    """
    word = f"{token} ".encode()
    return (word * (size_bytes // len(word) + 1))[:size_bytes]


def hash_of(data: bytes) -> str:
    """
    Give the hash as the wire and the archive have it.
    """
    return b64encode(hashlib.sha256(data).digest()).decode()


class Presence(Enum):
    """
    Whether a model is there, as far as its clients know.
    """

    ABSENT = "absent"
    PRESENT = "present"
    IN_DOUBT = "in doubt"
    """It was being made or deleted, and nobody was told how that ended."""


@frozen
class Sent:
    """
    A version that somebody began to create.
    """

    size_bytes: int
    data_hash: str
    archived: bool


@define(eq=False)
class Life:
    """
    A model from when it is made until it is deleted.

    Attributes:
        number: tells it from other lives of any model.
        user_data: what its user data may say.
        sent: what was begun, by the token that its user data carries.
        given: every number that anybody was told, and of which version, transient ones included.
        archived: the numbers of versions that must be there.
        unread: those of them that were not read since they came.
    """

    model_id: str
    number: int
    presence: Presence = Presence.ABSENT
    user_data: set[str] = field(factory=set)
    sent: dict[str, Sent] = field(factory=dict)
    given: dict[int, str] = field(factory=dict)
    archived: set[int] = field(factory=set)
    unread: set[int] = field(factory=set)

    @property
    def highest(self) -> int:
        """
        The highest number anybody was told.
        """
        return max(self.given, default=0)


class Turns:
    """
    Who makes or deletes a model does it alone; else several may be at it.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._inside = 0

    @contextmanager
    def shared(self) -> Iterator[None]:
        """
        Be one of several.
        """
        with self._condition:
            self._inside += 1
        try:
            yield
        finally:
            with self._condition:
                self._inside -= 1
                self._condition.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """
        Wait until nobody is inside, and keep others out.
        """
        with self._condition:
            self._condition.wait_for(lambda: not self._inside)
            yield


class Ledger:
    """
    The lives of some models.  May be used in any thread.
    """

    def __init__(self, model_ids: list[str]) -> None:
        self.wrong: list[str] = []
        self.acknowledged = 0
        self.turns = {model_id: Turns() for model_id in model_ids}
        self._lock = threading.Lock()
        self._lives: dict[int, Life] = {}
        self._current: dict[str, Life] = {}
        for model_id in model_ids:
            self.renew(model_id)

    def renew(self, model_id: str) -> Life:
        """
        Begin a model's next life, in which it is not made yet.
        """
        with self._lock:
            life = Life(model_id, len(self._lives) + 1)
            self._lives[life.number] = self._current[model_id] = life
            return life

    def life(self, model_id: str) -> Life:
        """
        Give a model's life.
        """
        return self._current[model_id]

    def lives(self) -> list[Life]:
        """
        Give all models' lives.
        """
        return list(self._current.values())

    @property
    def numbers(self) -> int:
        """
        How many numbers anybody was told, in all lives.
        """
        return sum(len(life.given) for life in self._lives.values())

    def begin(self, life: Life, token: str, data: bytes, archived: bool) -> None:
        """
        Somebody begins to create a version.
        """
        with self._lock:
            life.sent[token] = Sent(len(data), hash_of(data), archived)

    def acknowledge(self, info: Any) -> None:
        """
        Somebody was told that a version was created.
        """
        self.see(info)
        with self._lock:
            self.acknowledged += 1

    def see(self, info: Any) -> None:
        """
        Somebody was told of a version, in whatever way: from now on it must be there, if it is archived.
        """
        token = info.user_data.get("by", "")
        with self._lock:
            life = self._lives.get(int(token.partition(".")[0] or 0))
            sent = life.sent.get(token) if life is not None else None
            if life is None or sent is None or life.model_id != info.model_id:
                self.wrong.append(f"a version that nobody sent: {info}")
            elif sent != Sent(info.data_size, info.data_hash, info.archived):
                self.wrong.append(f"a version that is not as it was sent, {sent}: {info}")
            elif life.given.setdefault(info.version_number, token) != token:
                other = life.given[info.version_number]
                self.wrong.append(f"number {info.version_number} of {info.model_id!r} is {token}, and was {other}")
            elif info.archived and info.version_number not in life.archived:
                life.archived.add(info.version_number)
                life.unread.add(info.version_number)

    def check_data(self, life: Life, number: int, data: bytes) -> None:
        """
        Somebody read a version.
        """
        with self._lock:
            sent = life.sent[life.given[number]]
        if data != make_data(life.given[number], sent.size_bytes):
            self.complain(life, f"version {number} has {len(data)} bytes that are not what was sent")

    def complain(self, life: Life, what: str) -> None:
        """
        Something is wrong with a model.
        """
        with self._lock:
            self.wrong.append(f"model {life.model_id!r}, life {life.number}: {what}")
