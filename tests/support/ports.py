"""
The ports of use cases for tests: a budget without an end, and a client that takes all that is sent to it.
"""

from attrs import define, field
from zope.interface import implementer

from twisted_registry.contracts.application import IBudget, IReceiver, IReplyReservation, IReservation
from twisted_registry.domain.errors import Overloaded


@implementer(IBudget)
@define(eq=False)
class Budget:
    """
    A budget that records what is reserved.

    Attributes:
        reserved: the parts that are reserved now.
        requests: all parts that were ever asked for.
    """

    reserved: list[int] = field(factory=list)
    requests: list[int] = field(factory=list)

    async def reserve(self, amount: int, caller: str = "") -> "Reservation":
        """See ``IBudget.reserve``."""
        self.reserved.append(amount)
        self.requests.append(amount)
        return Reservation(self, amount)


@implementer(IReservation)
@define(eq=False)
class Reservation:
    """
    A part of that budget.
    """

    budget: Budget
    amount: int

    def release(self) -> None:
        """See ``IReservation.release``."""
        self.budget.reserved.remove(self.amount)


class FullBudget(Budget):
    """
    A budget that other calls hold.
    """

    async def reserve(self, amount: int, caller: str = "") -> Reservation:
        """See ``IBudget.reserve``."""
        raise Overloaded("full")


@implementer(IReceiver, IReplyReservation)
@define(eq=False)
class Receiver:
    """
    A client that records what it receives.

    Attributes:
        is_full: whether reservations have to wait.
        messages: what was sent.
        reserved: the bytes that were reserved, in order.
        counted: the bytes that were counted, in order.
        timers: 'start' or 'stop' for each change of the idle timer.
    """

    is_full: bool = False
    messages: list[bytes] = field(factory=list)
    reserved: list[int] = field(factory=list)
    timers: list[str] = field(factory=list)
    counted: list[int] = field(factory=list)

    def count(self, size_bytes: int) -> None:
        """See ``IReceiver.count``."""
        self.counted.append(size_bytes)

    def count_stream(self, size_bytes: int) -> None:
        """See ``IReceiver.count_stream``."""
        self.counted.append(size_bytes)

    def try_reserve(self, size_bytes: int) -> "Receiver | None":
        """See ``IReceiver.try_reserve``."""
        if self.is_full:
            return None
        self.reserved.append(size_bytes)
        return self

    async def reserve(self, size_bytes: int) -> "Receiver":
        """See ``IReceiver.reserve``."""
        self.reserved.append(size_bytes)
        return self

    async def write(self, message: bytes) -> None:
        """See ``IReceiver.write``."""
        self.messages.append(message)

    def start_idle_timer(self) -> None:
        """See ``IReplyReservation.start_idle_timer``."""
        self.timers.append("start")

    def stop_idle_timer(self) -> None:
        """See ``IReplyReservation.stop_idle_timer``."""
        self.timers.append("stop")
