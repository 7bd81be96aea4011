"""
What a fork does to clients.

gRPC's asyncio layer has one thread for the whole process that waits for what comes.  A forked child has the layer and
not the thread: its calls would wait for ever.  While no channel is open the layer is not there either, and then a child
can make channels of its own.
"""

import os
from weakref import WeakSet

from attrs import define, field

from twisted_registry.errors import ClientUnusable


@define
class Channels:
    """
    The channels that are open in this process.

    @ivar dead: whether the process was forked from one that had any.
    """

    _open: "WeakSet[object]" = field(factory=WeakSet)
    dead: bool = False

    def opened(self, owner: object) -> None:
        """
        Note that something has a channel now; that it has none any more is noticed, should it be forgotten.
        """
        self._open.add(owner)

    def closed(self, owner: object) -> None:
        """
        Note that it has none any more.
        """
        self._open.discard(owner)

    def check(self) -> None:
        """
        @raise ClientUnusable: gRPC cannot be used in this process.
        """
        if self.dead:
            raise ClientUnusable(
                "this process was forked from one with a connected client, and gRPC cannot go on in it: start it with "
                "multiprocessing's 'spawn' or 'forkserver', or fork before the first call, or close the clients before"
            )

    def after_fork_in_child(self) -> None:
        """
        Look at what was brought along.
        """
        self.dead = self.dead or len(self._open) > 0


channels = Channels()
os.register_at_fork(after_in_child=channels.after_fork_in_child)
