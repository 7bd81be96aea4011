"""
A ledger of the clients' knowledge: what they sent, what was acknowledged, and every number in a reply.
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
    Make the data of a version: a token, repeated.
    """
    word = f"{token} ".encode()
    return (word * (size_bytes // len(word) + 1))[:size_bytes]


def hash_of(data: bytes) -> str:
    """
    Return the SHA-256 of data in the form of the wire and the archive.
    """
    return b64encode(hashlib.sha256(data).digest()).decode()


class Presence(Enum):
    """
    The existence of a model, as far as its clients know.
    """

    ABSENT = "absent"
    PRESENT = "present"
    IN_DOUBT = "in doubt"
    """It was being created or deleted, and no client knows the outcome."""


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
    A model from its creation to its deletion.

    Attributes:
        number: a number that distinguishes it from other lives of any model.
        user_data: the metadata that it may have.
        sent: the creations that were begun, by the token in their metadata.
        given: every number in a reply, with its version, transient ones included.
        archived: the numbers of versions that must exist.
        unread: those that were not read since.
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
        Return the highest number in a reply.
        """
        return max(self.given, default=0)


class Turns:
    """
    Access to a model: exclusive for a client that creates or deletes it, otherwise shared.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._inside = 0

    @contextmanager
    def shared(self) -> Iterator[None]:
        """
        Hold the access as one of several.
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
        Return the life of a model.
        """
        return self._current[model_id]

    def lives(self) -> list[Life]:
        """
        Return the lives of all models.
        """
        return list(self._current.values())

    @property
    def numbers(self) -> int:
        """
        Return how many numbers were in replies, in all lives.
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
        Record that a creation was acknowledged.
        """
        self.see(info)
        with self._lock:
            self.acknowledged += 1

    def see(self, info: Any) -> None:
        """
        Record that a version was seen, in any way: from now on it must exist, if it is archived.
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
