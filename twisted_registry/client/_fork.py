"""
What a fork does to clients.

gRPC's asyncio layer has one thread for the whole process that waits for what comes.  A forked child has the layer and
not the thread: its calls would wait for ever, and so would the end of a channel that it was left.  While no channel is
open the layer is not there either, and then a child can make channels of its own.

gRPC can do something about forks (C{GRPC_ENABLE_FORK_SUPPORT}), which is for its other layers: with this one, children
stand still or crash that never call gRPC.  So the package switches it off, where nobody has said otherwise.
"""

import ctypes
import os
import warnings
from weakref import WeakSet

import grpc.aio
from attrs import define, field

from twisted_registry.client._environment import WORKERS_MAY_FORK
from twisted_registry.errors import ClientUnusable


@define
class Channels:
    """
    The channels that are open in this process.

    @ivar dead: whether the process was forked from one that had any.
    """

    _open: "WeakSet[grpc.aio.Channel]" = field(factory=WeakSet)
    dead: bool = False

    def opened(self, channel: grpc.aio.Channel) -> None:
        """
        Note that there is a channel.  Its end is noticed.
        """
        self._open.add(channel)

    def closed(self, channel: grpc.aio.Channel) -> None:
        """
        Note that a channel is closed.
        """
        self._open.discard(channel)

    def check(self) -> None:
        """
        @raise ClientUnusable: gRPC cannot be used in this process.
        """
        if self.dead:
            raise ClientUnusable(
                "this process was forked from one with a connected client, and gRPC cannot go on in it: start it with "
                "multiprocessing's 'spawn' or 'forkserver', or fork before the first call, or close the clients before"
            )

    def before_fork(self) -> None:
        """
        Warn where the child may stand still.
        """
        if len(self._open) and not WORKERS_MAY_FORK:
            warnings.warn(
                "forking beside a connected registry client: the child may stand still in gRPC's fork support. Import "
                "twisted_registry.client before grpc, or set GRPC_ENABLE_FORK_SUPPORT=0, or close the clients before",
                RuntimeWarning,
                stacklevel=2,
            )

    def after_fork_in_child(self) -> None:
        """
        Look at what was brought along, and never let go of it.
        """
        for channel in self._open:
            self.dead = True
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(channel))


channels = Channels()
os.register_at_fork(before=channels.before_fork, after_in_child=channels.after_fork_in_child)
