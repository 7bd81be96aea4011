"""
Many versions that are deleted in the background, and the commits of their model meanwhile.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import grpc

from benchmarks import archives, messages
from benchmarks.case import Fact
from benchmarks.client.loads import Caller
from benchmarks.context import Context
from benchmarks.messages import KIB, path, prefixed, registry_path
from benchmarks.servers import Server
from benchmarks.suites.calls import create
from twisted_registry.protocol.messages import v1
from twisted_registry.storage.filesystem.layout import DELETED_PREFIX

_MANY_VERSIONS, _SHORT_MANY = 100_000, 1000
_KEPT = 100
_BEFORE_SECONDS, _SHORT_BEFORE_SECONDS = 10.0, 0.2
_LEAST_RATIO = 0.5
_MOST_DELETE_MS = 250.0
_MOST_SECONDS = 1800.0


def run(context: Context) -> Iterator[Fact]:
    """
    Measure them.
    """
    many = _SHORT_MANY if context.short else _MANY_VERSIONS
    archive = context.directory / "registry-that-deletes"
    for model_id in ("pruned", "deleted"):
        archives.lay_out_model(archive, model_id, many)
    with context.registry("registry that deletes") as server, grpc.insecure_channel(f"127.0.0.1:{server.port}") as to:
        yield from _pruned(context, server, to, archive / "pruned", many)
        yield from _deleted(server, to, many)


def _pruned(context: Context, server: Server, to: grpc.Channel, folder: Path, many: int) -> Iterator[Fact]:
    body = b"".join(messages.upload("pruned", KIB, archived=True))
    caller = Caller(server.port, path("CreateVersion"), body)
    caller.call()
    over = time.monotonic() + (_SHORT_BEFORE_SECONDS if context.short else _BEFORE_SECONDS)
    before = []
    while time.monotonic() < over:
        before.append(caller.call())
    began = time.monotonic()
    retention = v1.Retention(model_id="pruned", policy=v1.RetentionPolicy(keep_last=_KEPT))
    _ask(to, "SetRetention", v1.SetRetentionRequest(retention=retention), v1.Retention)
    meanwhile: list[float] = []
    while _count(to) > _KEPT + len(before) + len(meanwhile) and time.monotonic() < began + _MOST_SECONDS:
        meanwhile += [caller.call() for _ in range(10)]
    seconds = time.monotonic() - began
    # It would go on with the versions of the commits below.
    _ask(to, "SetRetention", v1.SetRetentionRequest(retention=v1.Retention(model_id="pruned")), v1.Retention)
    while _has_deleted_files(folder) and time.monotonic() < began + _MOST_SECONDS:
        meanwhile += [caller.call() for _ in range(1000)]
    removed_seconds = time.monotonic() - began
    caller.close()
    yield Fact(f"{many:,} versions pruned to {_KEPT} in the background, s", seconds)
    yield Fact("until their files are removed, too, s", removed_seconds)
    mean = (sum(meanwhile) / len(meanwhile)) / (sum(before) / len(before))
    yield Fact("archived commit of their model meanwhile, times before", mean, 1 / _LEAST_RATIO)
    yield Fact("the same, median", median(meanwhile) / median(before), 1 / _LEAST_RATIO)


def _has_deleted_files(folder: Path) -> bool:
    return any(name.startswith(DELETED_PREFIX) for name in os.listdir(folder))


def _count(to: grpc.Channel) -> int:
    return int(_ask(to, "GetModel", v1.GetModelRequest(model_id="pruned"), v1.Model).version_count)


def _deleted(server: Server, to: grpc.Channel, many: int) -> Iterator[Fact]:
    create(server, "deleted", KIB, archived=True)
    caller = Caller(server.port, registry_path("DeleteModel"), prefixed(_delete_request("deleted")))
    answered = caller.call()
    caller.close()
    yield Fact(f"delete a model of {many:,} versions until the answer, ms", answered * 1000, _MOST_DELETE_MS)


def _delete_request(model_id: str) -> bytes:
    return bytes(v1.DeleteModelRequest(model_id=model_id).SerializeToString())


def _ask(to: grpc.Channel, method: str, request: Any, reply_class: Any) -> Any:
    call = to.unary_unary(registry_path(method), type(request).SerializeToString, reply_class.FromString)
    return call(request, timeout=60)
