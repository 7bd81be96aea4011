"""
The relay between the Unix socket of clients and gRPC, which learns who connects.

gRPC for Python does not report the user at the other end of a Unix socket.  So the relay accepts the connections, asks
the kernel, and connects to gRPC on their behalf.  Its ends of these connections have names that it chooses, one for
each, and gRPC reports them as the peers of calls.
"""

import asyncio
import errno
import secrets
import socket
import struct
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import grpc
from attrs import define, frozen
from twisted.logger import Logger

from twisted_registry.domain.access import UnixUser
from twisted_registry.repeated_lines import RepeatedLines, more
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.methods import Handler, Method
from twisted_registry.rpc.relayed_connection import RelayedConnection
from twisted_registry.rpc.sockets import Address, address_of

_log = Logger()

_CREDENTIALS = struct.Struct("iII")
_SO_PEERGROUPS = 59
"""Linux' number, which Python does not have."""

_MOST_GROUPS = 256
"""Python reads no more of a socket's option."""

_PAUSE_SECONDS = 0.01
_NAME_BYTES = 16


@frozen
class UnixPeer:
    """
    The process that connected to a Unix socket.

    Attributes:
        user: the user who ran it.
        pid: its number; 0 if it is in another process namespace.
    """

    user: UnixUser
    pid: int


def peer_of(connection: socket.socket) -> UnixPeer:
    """
    Ask the kernel which process connected.  Of a process in more than 256 groups, only the primary one is reported.

    Raises:
        OSError: the kernel does not know.
    """
    pid, uid, gid = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return UnixPeer(UnixUser(uid, tuple(dict.fromkeys((gid, *_groups_of(connection))))), pid)


def _groups_of(connection: socket.socket) -> Sequence[int]:
    try:
        listed = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _MOST_GROUPS * 4)
    except OSError as error:
        if error.errno == errno.ERANGE:
            return ()
        raise
    return struct.unpack(f"{len(listed) // 4}I", listed)


@define(eq=False)
class _Relayed:
    """
    A connection that is being relayed.

    Attributes:
        name: what the log calls it, such as ``unix:uid=1000:pid=123,connection=7``.
    """

    peer: UnixPeer
    name: str
    connection: RelayedConnection


class UnixRelay:
    """
    The relay.  It runs in the event loop of the server.
    """

    def __init__(
        self,
        listener: socket.socket,
        connect: Callable[[socket.socket], None],
        limit: int,
        peer_of: Callable[[socket.socket], UnixPeer] = peer_of,
        make_end: Callable[[], socket.socket] = lambda: socket.socket(socket.AF_UNIX),
    ) -> None:
        """

        Args:
            listener: a listening socket that does not block.
            connect: connects a socket to gRPC without blocking.
            limit: the largest number of connections.  Beyond it, a user who has fewer than another gets one of the
                other's, and further ones are closed.
            peer_of: returns who connected.
            make_end: makes the relay's end of a connection to gRPC.
        """
        self._listener = listener
        self._connect = connect
        self._limit = limit
        self._peer_of = peer_of
        self._make_end = make_end
        self._relayed: dict[str, _Relayed] = {}
        self._by_user: Counter[int] = Counter()
        self._number = 0
        self._lines = RepeatedLines()

    # Connections

    async def serve(self, busy: Callable[[], Collection[str]] = lambda: ()) -> None:
        """
        Accept connections until cancelled.

        Args:
            busy: returns the clients that have calls under way.
        """
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, _ = await loop.sock_accept(self._listener)
            except OSError as error:
                self._warn("accept", f"cannot accept connections at the Unix socket: {error.strerror}")
                await asyncio.sleep(_PAUSE_SECONDS * 10)
                continue
            if self._lines.ended("accept") is not None:
                _log.info("connections at the Unix socket are accepted again")
            try:
                client.setblocking(False)
                await self._relay(loop, client, busy)
            except OSError as error:
                client.close()
                self._warn("relay", f"cannot relay a connection of the Unix socket: {error.strerror}")
            except Exception:  # the next connection may be better
                client.close()
                _log.failure("cannot relay a connection of the Unix socket")
            except BaseException:
                client.close()
                raise

    async def _relay(
        self, loop: asyncio.AbstractEventLoop, client: socket.socket, busy: Callable[[], Collection[str]]
    ) -> None:
        peer = self._peer_of(client)
        if len(self._relayed) >= self._limit and not self._make_room(loop, peer.user.uid, busy()):
            client.close()
            return
        server = self._make_end()
        try:
            # The abstract names of sockets are public, so each is random: nobody can take the next one beforehand.
            name = f"registry-{secrets.token_hex(_NAME_BYTES)}"
            server.setblocking(False)
            server.bind(f"\0{name}")
            await self._connected(server)
            self._add(loop, peer, f"unix-abstract:{name}", client, server)
        except BaseException:
            server.close()
            raise

    def _add(
        self, loop: asyncio.AbstractEventLoop, peer: UnixPeer, key: str, client: socket.socket, server: socket.socket
    ) -> None:
        self._number += 1
        connection = RelayedConnection(loop, client, server, partial(self._forget, key))
        # The part before the last colon stands for a client, as the address of a host does.
        name = f"unix:uid={peer.user.uid}:pid={peer.pid},connection={self._number}"
        self._relayed[key] = _Relayed(peer, name, connection)
        self._by_user[peer.user.uid] += 1
        try:
            connection.start()
        except BaseException:
            connection.close()
            raise

    def _forget(self, key: str) -> None:
        uid = self._relayed.pop(key).peer.user.uid
        self._by_user[uid] -= 1
        if not self._by_user[uid]:
            del self._by_user[uid]

    def _make_room(self, loop: asyncio.AbstractEventLoop, uid: int, busy: Collection[str]) -> bool:
        """
        Close a connection of the user who has the most, unless that leaves it with fewer than another user gets: those
        without calls first, and of these the newest.

        Returns:
            whether there was one.
        """
        (greedy, most), *_ = self._by_user.most_common(1)
        self._warn(
            "limit",
            f"{self._limit} connections are open at the Unix socket, {most} of them by the user {greedy}, and further "
            "ones take the place of that user's, or are refused; each takes three descriptors: raise "
            "--max-connections, or the limit on descriptors (ulimit -n)",
        )
        if most <= self._by_user[uid] + 1:
            return False
        # Those that were added last come last.
        of_user = [each for each in reversed(self._relayed.values()) if each.peer.user.uid == greedy]
        min(of_user, key=lambda each: each.name in busy).connection.close()
        return True

    async def _connected(self, server: socket.socket) -> None:
        while True:
            try:
                self._connect(server)
                return
            except BlockingIOError:  # gRPC has not yet accepted those before
                await asyncio.sleep(_PAUSE_SECONDS)

    def _warn(self, cause: str, text: str) -> None:
        self._lines.happened(cause, lambda times: _log.warn("{text}{more}", text=text, more=more(times)))

    def accepted(self) -> Mapping[Address, int]:
        """
        Return the connected clients, with the number of bytes that each has sent.  May be called in any thread.
        """
        return {_address(each): each.connection.received_bytes for each in list(self._relayed.values())}

    def shut_down(self, addresses: Collection[Address]) -> set[Address]:
        """
        Shut down connections.  May be called in any thread.

        Returns:
            those that existed.
        """
        found = {_address(each): each for each in list(self._relayed.values()) if _address(each) in addresses}
        for each in found.values():
            each.connection.shut_down()
        return set(found)

    def disconnect(self, peers: Collection[str]) -> set[str]:
        """
        Shut down the connections with clients.  May be called in any thread.

        Args:
            peers: the clients, as calls name them.

        Returns:
            those that had a connection.
        """
        found = {each.name: each for each in list(self._relayed.values()) if each.name in peers}
        for each in found.values():
            each.connection.shut_down()
        return set(found)

    def close(self) -> None:
        """
        Close all connections.
        """
        for each in list(self._relayed.values()):
            each.connection.close()

    async def drain(self, timeout_seconds: float) -> None:
        """
        Wait until all connections have ended, or the time is over.  gRPC must have stopped.
        """
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        while self._relayed and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(_PAUSE_SECONDS)

    # Calls

    def intercept(self, method: Method, handler: Handler) -> Handler:
        """
        Wrap a handler so that its calls have the peer and the user who connected to the relay.  Calls from a Unix
        socket that is not the relay's are refused.
        """

        async def handle(request: Any, call: CallContext) -> Any:
            if call.peer.startswith("unix"):
                relayed = self._relayed.get(call.peer)
                if relayed is None:
                    # Or the connection has just ended: then nobody reads this.
                    call.peer = "unix:unknown"
                    await call.abort(grpc.StatusCode.PERMISSION_DENIED, "connect to the socket of --socket")
                call.peer, call.unix_user = relayed.name, relayed.peer.user
            return await handler(request, call)

        return handle


def _address(relayed: _Relayed) -> Address:
    address = address_of(relayed.name)
    assert address is not None, "the relay's names have an address"
    return address
