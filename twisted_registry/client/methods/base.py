"""
The base of the methods of the client: its session.
"""

from typing import TYPE_CHECKING

from twisted_registry.client._transport.options import Options

if TYPE_CHECKING:
    from twisted_registry.client._session import Session


class MethodsBase:
    """
    The base of the classes of methods.

    Attributes:
        _options: the arguments of the client.
        _is_closed: whether the client was closed.
        _sessions: the session, once a call has opened it.
    """

    _options: Options
    _is_closed: bool
    _sessions: "list[Session]"

    @property
    def _session(self) -> "Session":
        if not self._sessions:
            from twisted_registry.client._session import Session

            # A blocking client may get here in several threads at once; all of them use the first.
            self._sessions.append(Session(self._options, self._is_closed))
        return self._sessions[0]
