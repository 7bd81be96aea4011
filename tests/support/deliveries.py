"""
Parts of deliveries for tests.
"""

import json
from collections.abc import Callable, Collection
from pathlib import Path

from twisted_registry.deliveries.destinations import Command, Selection, type_of
from twisted_registry.deliveries.journal import Journal
from twisted_registry.domain.access import EVERYTHING
from twisted_registry.domain.events import KINDS, Event

ALL_EVENTS = Selection(frozenset(map(type_of, KINDS)), (EVERYTHING,))
"""Selects all events of all models."""


def selection(*types: str) -> Selection:
    """
    Select some types of events, of all models.
    """
    return Selection(frozenset(types), (EVERYTHING,))


def destination(name: str, *types: str) -> Command:
    """
    Return a destination of some types of events, or of all.
    """
    return Command(name, selection(*types) if types else ALL_EVENTS, 5.0, ("/bin/true",))


def encoded(event: Event, happened_ns: int) -> str:
    """
    Return an event as short JSON.
    """
    return json.dumps({"modelId": event.model_id, "kind": type(event).__name__, "ns": happened_ns})


def new_journal(path: Path, encode: Callable[[Event, int], str] = encoded, pending_max: int = 1000) -> Journal:
    """
    Return a journal that is not open.
    """
    return Journal(path, encode, pending_max)


def bodies(journal: Journal, name: str) -> list[dict[str, object]]:
    """
    Return the events that wait for a destination, in order.
    """
    return [json.loads(each.body) for each in journal.exchange(name, (), 10**18).messages]


def types(journal: Journal, name: str) -> list[object]:
    """
    Return the types of the events that wait for a destination, in order.
    """
    return [each["type"] for each in bodies(journal, name)]


def ids(journal: Journal, name: str) -> Collection[str]:
    """
    Return the ids of the messages that wait for a destination, in order.
    """
    return [each.message_id for each in journal.exchange(name, (), 10**18).messages]
