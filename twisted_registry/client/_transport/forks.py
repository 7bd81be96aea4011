"""
The guard against gRPC in forked children, and the environment variables that gRPC reads when it is first imported.

A forked child inherits the state of gRPC's asyncio layer, but not the threads behind it: its calls, and the destruction
of inherited channels, would wait forever.  These threads end some milliseconds after the last channel is closed; a
child that is forked later can use gRPC.

gRPC's own fork support (``GRPC_ENABLE_FORK_SUPPORT``) is for its other layers.  Beside the asyncio layer it stops or
crashes children that never use gRPC, so this module switches it off, unless the environment sets it.

This module does not import gRPC.
"""

import gc
import os
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any
from weakref import WeakSet

from twisted_registry.client.errors import ClientUnusable

os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # below it, gRPC reports each lost connection on stderr
if "grpc" not in sys.modules:
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
_FORK_SUPPORT_IS_OFF = os.environ.get("GRPC_ENABLE_FORK_SUPPORT", "").lower() in ("0", "false", "no", "off")

_POLLER = "_poll_wrapper"
"""The function that the asyncio layer's thread runs; Python puts it into the thread's name."""

_CORE_THREADS = ("event_engine", "grpc_", "lifeguard", "timer_manager")
"""How the system's names of the threads of gRPC's core begin."""

_WAITS_SECONDS = (0.1, 1.0)


def _is_grpc_running() -> bool:
    if any(_POLLER in thread.name for thread in threading.enumerate()):
        return True
    # With its fork support, the core stops and restarts its own threads.
    return _FORK_SUPPORT_IS_OFF and any(map(_is_of_core, Path("/proc/self/task").glob("*/comm")))


def _is_of_core(thread: Path) -> bool:
    try:
        return thread.read_text().startswith(_CORE_THREADS)
    except OSError:
        return False  # the thread has ended


def _wait_until_grpc_has_ended() -> None:
    for seconds in _WAITS_SECONDS:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not _is_grpc_running():
                return
            time.sleep(0.001)
        gc.collect()  # an error in a reference cycle may hold a call


class ForkGuard:
    """
    A guard against the use of gRPC in a process that was forked from one in which gRPC was running.

    Attributes:
        is_cut_off: whether this process is such a child.
    """

    def __init__(self) -> None:
        self.is_cut_off = False
        self._channels: WeakSet[Any] = WeakSet()
        self._has_closed = False
        self._was_running = False

    def opened(self, channel: object) -> None:
        """
        Record an open channel.
        """
        self._channels.add(channel)

    def closed(self, channel: object) -> None:
        """
        Record that a channel was closed.
        """
        self._channels.discard(channel)
        self._has_closed = True

    def check(self) -> None:
        """
        Check that this process can use gRPC.

        Raises:
            ClientUnusable: gRPC was running when this process was forked.
        """
        if self.is_cut_off:
            raise ClientUnusable(
                "gRPC was running in the parent of this forked process, for example for a connected client, so it "
                "cannot be used here: start this process with multiprocessing's 'spawn' or 'forkserver', or fork "
                "before the first call, or close the clients first and delete their trackers and errors"
            )

    def before_fork(self) -> None:
        """
        Wait until the gRPC of closed clients has ended, and warn if the child may hang.
        """
        if self._has_closed and not self._channels:
            self._has_closed = False
            _wait_until_grpc_has_ended()
        self._was_running = _is_grpc_running()
        if self._channels and not _FORK_SUPPORT_IS_OFF:
            warnings.warn(
                "forking while a registry client is connected: the child may hang in gRPC's fork support. Import "
                "twisted_registry.client before grpc, or set GRPC_ENABLE_FORK_SUPPORT=0, or close the clients first",
                RuntimeWarning,
                stacklevel=2,
            )

    def after_fork_in_child(self) -> None:
        """
        Keep inherited gRPC objects forever: their destructors would wait for threads that do not exist here.
        """
        if not self._was_running:
            return
        import ctypes

        self.is_cut_off = True
        # To look at every object is to copy the memory of every object: only if no channel keeps the layer alive.
        for inherited in list(self._channels) or _grpc_objects():
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(inherited))


def _grpc_objects() -> list[object]:
    # The module of some classes is not a string.
    modules = ("grpc.aio", "grpc._cython")
    return [each for each in gc.get_objects() if str(type(each).__module__).startswith(modules)]


fork_guard = ForkGuard()
os.register_at_fork(before=fork_guard.before_fork, after_in_child=fork_guard.after_fork_in_child)
