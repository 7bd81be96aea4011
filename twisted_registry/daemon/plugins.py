"""
The search for plugins, without the tracebacks that Twisted prints.
"""

import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from twisted import plugin
from twisted.logger import Logger
from zope.interface import Interface

Offered = TypeVar("Offered", bound=Interface)

_log = Logger(namespace="twisted_registry")


def installed_plugins(interface: type[Offered], /) -> Iterable[Offered]:
    """
    Return the installed plugins that provide an interface.

    A module that cannot be imported is skipped, and its traceback is logged at debug.  Not at a higher level: twistd
    has printed it in its own search, and most modules in ``twisted.plugins`` have nothing to do with this project.
    """
    with _quiet():
        return list(plugin.getPlugins(interface))


class _DebugLog:
    def err(self) -> None:
        _log.debug("a plugin cannot be imported: {traceback}", traceback=traceback.format_exc())


@contextmanager
def _quiet() -> Iterator[None]:
    # Nothing else runs yet: storage is made before the reactor is started.
    module: Any = plugin
    original, module.log = module.log, _DebugLog()
    try:
        yield
    finally:
        module.log = original
