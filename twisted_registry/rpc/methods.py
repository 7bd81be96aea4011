"""
Method tables: what each call of a service takes, does and needs.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable
from itertools import chain
from operator import attrgetter
from typing import Any

from attrs import evolve, frozen
from google.protobuf.message import Message

from twisted_registry.domain.access import CHANGES, Action, Need, Scope
from twisted_registry.protocol.messages import POOL

_REFERENCE = "reference"

Handler = Callable[[Any, Any], Awaitable[Any]]
"""
A handler of a call.

It takes the request and the call's ``CallContext``.  The request is the message, of the method's ``request`` type or as
raw bytes; if the client streams, it is a ``RequestStream`` of these.  It returns the reply; if the server streams, it
sends each message with ``CallContext.write`` and returns ``None``.  An error that it raises becomes the call's status.
"""


@frozen
class Method:
    """
    An entry of a method table.

    Attributes:
        name: the method's name in the .proto file.
        handler: serves the calls.
        action: what a caller must be permitted to do.
        resource: returns the id of the model that a request is about, or ``None`` if it is not about a single one;
            takes what the handler takes, or the header if the client streams.  ``None`` if no request is.
        further_needs: returns what a caller must be permitted to do in addition, from the same request; or, if there is
            no ``resource``, on which models.  ``None`` if the action is all.
        upload_bytes: returns how many bytes of data an upload declares, from its header; ``None`` if the call is not an
            upload.
        read_request: reads a request that takes long to read, once for all of these and for the handler; takes the
            message.  ``None`` if they take the message.
        read_header: reads the first message of a client that streams, once for all of these and for the handler.
            ``None`` if they take the message.
        request: the type of a request message; ``None`` if the handler takes raw bytes.
        reply: the type of a reply message; ``None`` if the handler returns raw bytes.
        reference: returns the reference to the version that a request is about, for the access log.  ``None`` if it
            names none; ``Service`` finds the field ``reference`` of messages by itself.
        lasts: calls go on until their client leaves.
        always_served: calls are also served while the registry starts and while it stops.
        changes_nothing: calls only read, although they need a permission to change something.
        is_limited: calls are refused if too many are under way.
        any_archive: calls are served even if the client names another archive than the one that is served.
        path: the full name, such as ``/cogmentAPI.ModelRegistrySP/Version``.  ``Service`` sets it, and the following.
        streams_requests: the client sends any number of messages.
        streams_replies: the server sends any number of messages.
    """

    name: str
    handler: Handler
    action: Action
    resource: Callable[[Any], str | None] | None = None
    further_needs: Callable[[Any], Awaitable[Iterable[Need]]] | None = None
    request: type[Message] | None = None
    reply: type[Message] | None = None
    read_request: Callable[[Any], Awaitable[Any]] | None = None
    upload_bytes: Callable[[Any], int] | None = None
    read_header: Callable[[bytes], Any] | None = None
    reference: Callable[[Any], str] | None = None
    lasts: bool = False
    always_served: bool = False
    changes_nothing: bool = False
    is_limited: bool = True
    any_archive: bool = False
    path: str = ""
    streams_requests: bool = False
    streams_replies: bool = False

    @property
    def is_change(self) -> bool:
        """
        True if calls change something.
        """
        return self.action in CHANGES and not self.changes_nothing

    async def needs(self, request: Any) -> Iterable[Need]:
        """
        Return what a caller must be permitted to do, which may be very much.

        Args:
            request: what the handler takes, or the header if the client streams.

        Raises:
            RegistryError: the request is not valid.
        """
        model_id = None if self.resource is None else self.resource(request)
        # An empty id is one, too: of a model that nobody can have been granted.
        first = Need(self.action, None if model_id is None else Scope(model_id))
        return (first,) if self.further_needs is None else chain((first,), await self.further_needs(request))


class Service:
    """
    A service: its method table, checked against its .proto file.  Without a row for each method, and an action in each
    row, the daemon does not start: nobody can forget to say what a new call needs.

    Attributes:
        name: the full name, such as ``cogmentAPI.ModelRegistrySP``.
        methods: the entries of the table.
    """

    def __init__(self, name: str, methods: Iterable[Method], unimplemented: Collection[str] = ()) -> None:
        """

        Args:
            unimplemented: the methods of the .proto file that are not served.

        Raises:
            ValueError: the table does not match the .proto file.
        """
        self.name = name
        described = POOL.FindServiceByName(name).methods_by_name
        self.methods = [_bound(method, described.get(method.name), name) for method in methods]
        missing = set(described) - {method.name for method in self.methods} - set(unimplemented)
        if missing:
            raise ValueError(f"{name} has no row for {', '.join(sorted(missing))}")


def _bound(method: Method, described: Any, service: str) -> Method:
    if described is None:
        raise ValueError(f"{service} has no method {method.name}")
    if not isinstance(method.action, Action):
        raise ValueError(f"{method.name} has no action")
    for message, declared in ((method.request, described.input_type), (method.reply, described.output_type)):
        if message is not None and message.DESCRIPTOR.full_name != declared.full_name:
            raise ValueError(f"{method.name} is declared with {declared.full_name}")
    return evolve(
        method,
        reference=method.reference or _reference_in(method.request),
        path=f"/{service}/{method.name}",
        streams_requests=described.client_streaming,
        streams_replies=described.server_streaming,
    )


def _reference_in(request: type[Message] | None) -> Callable[[Any], str] | None:
    has_field = request is not None and _REFERENCE in request.DESCRIPTOR.fields_by_name
    return attrgetter(_REFERENCE) if has_field else None
