"""
The options of the gRPC server.
"""

import socket
from collections.abc import Callable, Sequence

from attrs import field, frozen

from twisted_registry.config.limits import ClientLimits, Limits
from twisted_registry.config.memory import MemorySettings
from twisted_registry.config.network import NetworkSettings, UnixSettings
from twisted_registry.contracts.access import IAccess, IAuditLog
from twisted_registry.contracts.access_log import IAccessLog
from twisted_registry.contracts.observation import IArchiveNumbers, IEdgeObserver
from twisted_registry.contracts.quotas import IRateQuotas
from twisted_registry.contracts.tracing import ITracer
from twisted_registry.rpc.methods import Service
from twisted_registry.rpc.tls import ServerTls


@frozen(kw_only=True)
class ServerOptions:
    """
    The options of a server.

    Attributes:
        network: where it listens.
        limits: the limits on transfers.
        clients: the limits on clients.
        unix: the Unix socket; by default there is none.
        unix_socket: the Unix socket, if the service manager made it.
        access_log: logs calls; ``None`` without an access log.
        services: further services to serve, in addition to the registry and health.
        access: says who calls and what they may do; ``None`` without access control.
        tls: the certificates; ``None`` without encryption.
        certificate_end: returns when a certificate in PEM expires, in seconds since the Unix epoch.
        certificate_names: returns the names in a client's certificate in PEM, for calls that do not come by gRPC.
        quotas: the quotas of calls and bytes; ``None`` without a policy.
        audit_log: records calls; ``None`` for no record.
        observer: what calls are reported to; ``None`` for nothing.
        memory: the limits on memory, for the status of the server; ``None`` if they are not known.
        archive_numbers: the size of the archive, for the status of the server; ``None`` if it is not known.
        tracer: traces calls; ``None`` for no traces.
        traces_name_callers: whether traces say who calls.
    """

    network: NetworkSettings
    limits: Limits
    clients: ClientLimits
    unix: UnixSettings = field(factory=UnixSettings)
    unix_socket: socket.socket | None = None
    access_log: IAccessLog | None = None
    services: Sequence[Service] = ()
    access: IAccess | None = None
    tls: ServerTls | None = None
    certificate_end: Callable[[bytes], float | None] = lambda pem: None
    certificate_names: Callable[[bytes], Sequence[str]] = lambda pem: ()
    quotas: IRateQuotas | None = None
    audit_log: IAuditLog | None = None
    observer: IEdgeObserver | None = None
    memory: MemorySettings | None = None
    archive_numbers: IArchiveNumbers | None = None
    tracer: ITracer | None = None
    traces_name_callers: bool = False
