"""
What a fork does to clients.

gRPC's asyncio layer has one thread for the whole process that waits for what comes.  A forked child has the layer and
not the thread: its calls would wait for ever, and so would the end of whatever of gRPC's it was left.  The thread ends
with the last channel.  Under the layer gRPC's core has threads as well, which end some milliseconds later.  Where all
are gone, a child can make channels of its own.

gRPC can do something about forks (``GRPC_ENABLE_FORK_SUPPORT``), which is for its other layers: with this one, children
stand still or crash that never call gRPC.  So the package switches it off, where nobody has said otherwise.
"""

import ctypes
import gc
import os
import threading
import time
import warnings
from pathlib import Path
from weakref import WeakSet

import grpc.aio
from attrs import define, field

from twisted_registry.client._transport.environment import WORKERS_MAY_FORK
from twisted_registry.client.errors import ClientUnusable

_LAYERS_THREAD = "_poll_wrapper"
"""What the layer's thread runs: Python puts it into the thread's name."""

_LAYERS_MODULES = ("grpc.aio", "grpc._cython")

_CORES_THREADS = ("event_engine", "grpc_", "lifeguard", "timer_manager")
"""How the names of the core's threads begin: the system knows of them, Python does not."""

_END_SECONDS = 1.0
_GARBAGE_SECONDS = 0.1
"""For so long gRPC's end is waited for before garbage is looked for that may hold something of it."""

_PAUSE_SECONDS = 0.001


def _layer_runs() -> bool:
    return any(_LAYERS_THREAD in thread.name for thread in threading.enumerate())


def _core_runs() -> bool:
    names = (_name_of(thread) for thread in Path("/proc/self/task").glob("*/comm"))
    return any(name.startswith(_CORES_THREADS) for name in names)


def _name_of(thread: Path) -> str:
    try:
        return thread.read_text()
    except OSError:
        return ""  # it has ended


def _wait_for_the_end(seconds: float) -> bool:
    end = time.monotonic() + seconds
    while runs := _layer_runs() or _core_runs():
        if time.monotonic() > end:
            break
        time.sleep(_PAUSE_SECONDS)
    return not runs


def _objects_of_the_layer() -> list[object]:
    # To look at an object is to write to it, so that its memory is copied: where a channel of ours keeps the layer from
    # its end, that is spared.  Some classes have something else than a text for their module.
    return [left for left in gc.get_objects() if str(type(left).__module__).startswith(_LAYERS_MODULES)]


@define
class Forks:
    """
    Looks after the forks of this process.

    Attributes:
        is_cut_off: whether the process was forked from one in which gRPC was at work, for whomever.
    """

    is_cut_off: bool = False
    _open: "WeakSet[grpc.aio.Channel]" = field(factory=WeakSet)
    _has_closed: bool = False
    _grpc_ran: bool = False

    def opened(self, channel: grpc.aio.Channel) -> None:
        """
        Note that there is a channel.
        """
        self._open.add(channel)

    def closed(self, channel: grpc.aio.Channel) -> None:
        """
        Note that a channel was closed.
        """
        self._open.discard(channel)
        self._has_closed = True

    def check(self) -> None:
        """

        Raises:
            ClientUnusable: gRPC cannot be used in this process.
        """
        if self.is_cut_off:
            raise ClientUnusable(
                "this process was forked from one in which gRPC was at work, such as for a connected client, and "
                "cannot use it: start it with multiprocessing's 'spawn' or 'forkserver', or fork before the first "
                "call, or close the clients before and let go of their trackers and errors"
            )

    def before_fork(self) -> None:
        """
        Look what the child will be left, and warn where it may stand still.
        """
        if self._has_closed and not len(self._open):
            self._has_closed = False
            if not _wait_for_the_end(_GARBAGE_SECONDS):
                gc.collect()
                _wait_for_the_end(_END_SECONDS)
        # With its fork support gRPC's core looks after itself; what it does to the layer, it does with or without.
        self._grpc_ran = _layer_runs() or (WORKERS_MAY_FORK and _core_runs())
        if len(self._open) and not WORKERS_MAY_FORK:
            warnings.warn(
                "forking beside a connected registry client: the child may stand still in gRPC's fork support. Import "
                "twisted_registry.client before grpc, or set GRPC_ENABLE_FORK_SUPPORT=0, or close the clients before",
                RuntimeWarning,
                stacklevel=2,
            )

    def after_fork_in_child(self) -> None:
        """
        Never let go of what gRPC's threads would be asked to end.
        """
        if self._grpc_ran:
            self.is_cut_off = True
            for left in self._open or _objects_of_the_layer():
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(left))


forks = Forks()
os.register_at_fork(before=forks.before_fork, after_in_child=forks.after_fork_in_child)
