"""
The contract of coordination: the state that several processes of one registry would have to share.

It answers four questions: which number a version gets, who may change a model, whether a model is still the same one,
and what has changed.  The registry asks them nowhere else, so that a registry of several processes needs another
implementation of this contract alone.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from zope.interface import Attribute, Interface

from twisted_registry.domain.events import Event

Listener = Callable[[Any], None]
"""Called with an event in the reactor's thread.  It must not block."""


class INumberSequence(Interface):
    """
    The version numbers of one model.

    All methods are called in the reactor's thread, by a caller that owns the model (``ICoordination.exclusive``) unless
    stated otherwise.
    """

    last: int = Attribute("The highest number that may have been assigned.  May be read in any thread.")

    def load(highest: int) -> Awaitable[None]:
        """
        Continue where the model's numbers ended, in this process or an earlier one.

        Args:
            highest: the model's highest archived number; 0 if it has none.

        Returns:
            Completes when ``next`` may be called.

        Raises:
            StorageFailure: the end of the numbers cannot be read.
        """

    def next() -> int:
        """
        Return the number for the next version.  It stays the same until ``use``.

        Raises:
            NumbersExhausted: every number has been assigned.
        """

    def reserve(number: int) -> Awaitable[None]:
        """
        Make sure that a number is never assigned again, not even after a crash.  Needed before a transient version gets
        it; the commit of an archived version is durable itself.

        Args:
            number: the number that ``next`` has returned.

        Returns:
            Completes when the reservation is durable.

        Raises:
            StorageFull: the medium is full.
            StorageReadOnly: the medium accepts no writes.
            StorageFailure: the medium failed.
            UnknownModel: the model has disappeared.
        """

    def use(number: int) -> None:
        """
        Record that a number may have been assigned.

        Args:
            number: the number that ``next`` has returned.
        """

    def raise_to(number: int) -> Awaitable[bool]:
        """
        Continue after a number that a client has seen, durably if possible.

        Args:
            number: the highest number that the client has seen.

        Returns:
            ``False`` if the number is too high to be plausible; then nothing changes.
        """

    def release() -> Awaitable[None]:
        """
        Release the reserved numbers that were not used, so that the next process continues without a gap.  Called
        before the archive is closed, when no other call is running.  Never fails.

        Returns:
            Completes when the release is durable, or has failed.
        """

    def retire() -> None:
        """
        Stop using the sequence: its model was deleted.  Called while the caller holds ``ICoordination.writing``.
        """


class ICoordination(Interface):
    """
    Numbers, ownership, incarnations and the change feed.  Used in the reactor's thread.
    """

    def sequence(model_id: str) -> INumberSequence:
        """
        Return a new number sequence for a model.  It starts at 1 until ``INumberSequence.load``.

        Args:
            model_id: the model's id.
        """

    def incarnation(model_id: str) -> int:
        """
        Return a number that distinguishes a model from all earlier ones with the same id.

        Args:
            model_id: the model's id.
        """

    def exclusive(model_id: str) -> AbstractAsyncContextManager[None]:
        """
        Wait for exclusive ownership of a model, and keep it while the context is open.  Needed to commit a version, and
        to read or change state on which commits depend.  Ownership is granted in the order of the requests.

        Args:
            model_id: the model's id.

        Returns:
            A context whose entry waits for the ownership.
        """

    def writing(model_id: str) -> AbstractAsyncContextManager[None]:
        """
        Wait until nothing else changes a model on the archive, and exclude other changes while the context is open.
        Enter it inside ``exclusive``, or alone for a change on which no commit depends; never enter ``exclusive``
        inside it.

        Args:
            model_id: the model's id.

        Returns:
            A context whose entry waits for the other changes.
        """

    def publish(event: Event) -> None:
        """
        Add an event to the change feed, after the change can be seen.  Never fails: the error of a listener is logged
        with the id of an incident, and the other listeners are called.

        Args:
            event: an event of ``twisted_registry.domain.events``.
        """

    def subscribe(listener: Listener, *kinds: type[Event]) -> None:
        """
        Call a listener with each event of certain kinds from now on.

        Args:
            listener: called with the event in the reactor's thread, while the change is under way: it must not block,
                and postpones everything that takes long.
            kinds: the classes of ``twisted_registry.domain.events``.
        """

    def unsubscribe(listener: Listener) -> None:
        """
        Stop calling a listener.  Does nothing if it is not subscribed.

        Args:
            listener: the function that was passed to ``subscribe``.
        """
