"""
The event bus, from the code that changes the registry to the code that reacts to it.
"""

from uuid import uuid4

from twisted.logger import Logger

from twisted_registry.contracts.coordination import Listener
from twisted_registry.domain.events import Event

_log = Logger(namespace="twisted_registry")


class EventBus:
    """
    The listeners, called in the order of their subscriptions.  Used in the reactor's thread.
    """

    def __init__(self) -> None:
        # The tuples are replaced, never changed, so that a listener may unsubscribe while an event is being published.
        self._listeners: dict[type[Event], tuple[Listener, ...]] = {}

    def subscribe(self, listener: Listener, *kinds: type[Event]) -> None:
        """See ``ICoordination.subscribe``."""
        for kind in kinds:
            self._listeners[kind] = (*self._listeners.get(kind, ()), listener)

    def unsubscribe(self, listener: Listener) -> None:
        """See ``ICoordination.unsubscribe``."""
        for kind, listeners in self._listeners.items():
            self._listeners[kind] = tuple(one for one in listeners if one != listener)

    def publish(self, event: Event) -> None:
        """See ``ICoordination.publish``."""
        for listener in self._listeners.get(type(event), ()):
            try:
                listener(event)
            except Exception:  # a listener's bug must not harm what it listens to
                _log.failure(
                    "incident {incident}: a listener failed to handle {event}", incident=uuid4().hex[:12], event=event
                )
