"""
What a fork does to clients.

gRPC's asyncio layer has one thread for the whole process that waits for what comes.  A forked child has the layer and
not the thread: its calls would wait for ever, and so would the end of whatever of gRPC's it was left.  The thread ends
with the last channel, and then a child can make channels of its own.

gRPC can do something about forks (C{GRPC_ENABLE_FORK_SUPPORT}), which is for its other layers: with this one, children
stand still or crash that never call gRPC.  So the package switches it off, where nobody has said otherwise.
"""

import ctypes
import gc
import os
import threading
import warnings
from weakref import WeakSet

import grpc.aio
from attrs import define, field

from twisted_registry.client._environment import WORKERS_MAY_FORK
from twisted_registry.errors import ClientUnusable

_LAYERS_THREAD = "_poll_wrapper"
"""What the layer's thread runs: Python puts it into the thread's name."""

_LAYERS_MODULE = "grpc._cython.cygrpc"


def _layer_runs() -> bool:
    return any(_LAYERS_THREAD in thread.name for thread in threading.enumerate())


@define
class Forks:
    """
    Looks after the forks of this process.

    @ivar is_cut_off: whether the process was forked from one in which gRPC's asyncio layer ran, for whomever.
    """

    is_cut_off: bool = False
    _connected: "WeakSet[grpc.aio.Channel]" = field(factory=WeakSet)
    _layer_ran: bool = False

    def connected(self, channel: grpc.aio.Channel) -> None:
        """
        Note that there is a channel.  Its end is noticed.
        """
        self._connected.add(channel)

    def check(self) -> None:
        """
        @raise ClientUnusable: gRPC cannot be used in this process.
        """
        if self.is_cut_off:
            raise ClientUnusable(
                "this process was forked from one with a connected client, and gRPC cannot go on in it: start it with "
                "multiprocessing's 'spawn' or 'forkserver', or fork before the first call, or close the clients before "
                "and let go of their trackers and errors"
            )

    def before_fork(self) -> None:
        """
        Look what the child will be left, and warn where it may stand still.
        """
        self._layer_ran = _layer_runs()
        if len(self._connected) and not WORKERS_MAY_FORK:
            warnings.warn(
                "forking beside a connected registry client: the child may stand still in gRPC's fork support. Import "
                "twisted_registry.client before grpc, or set GRPC_ENABLE_FORK_SUPPORT=0, or close the clients before",
                RuntimeWarning,
                stacklevel=2,
            )

    def after_fork_in_child(self) -> None:
        """
        Never let go of what the layer's thread would be asked to end.
        """
        if self._layer_ran:
            self.is_cut_off = True
            for left in gc.get_objects():
                if type(left).__module__ == _LAYERS_MODULE:
                    ctypes.pythonapi.Py_IncRef(ctypes.py_object(left))


forks = Forks()
os.register_at_fork(before=forks.before_fork, after_in_child=forks.after_fork_in_child)
