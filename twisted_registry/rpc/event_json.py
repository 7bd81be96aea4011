"""
Events in JSON, in the form of ``WatchEvents``.
"""

from twisted_registry.application.event_feed import FeedEvent
from twisted_registry.domain.events import Event
from twisted_registry.protocol.json_calls import METHODS
from twisted_registry.rpc.services.registry_v1.codec import event_message


def event_to_json(event: Event, happened_ns: int) -> str:
    """
    Return an event in JSON, on one line, without a cursor.

    Args:
        happened_ns: time in nanoseconds since the Unix epoch.
    """
    message = event_message(FeedEvent(0, "", happened_ns, event, 0))
    return METHODS["WatchEvents"].reply_to_json(message)
