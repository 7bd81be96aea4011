"""
Create a model, publish a version, receive its notification and fetch it: with nothing but gRPC and the .proto files.

Run it while a daemon runs, in an environment with grpcio-tools::

    python examples/bare_grpc.py [ADDRESS]
"""

import hashlib
import os
import sys
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc

sys.path.append(str(Path(__file__).parent.parent / "protos"))
protos, services = grpc.protos_and_services("cogment/api/model_registry.proto")

CHUNK_BYTES = 2 * 1024 * 1024


def upload(model_id: str, data: bytes, archived: bool) -> Iterator[Any]:
    """
    Return the messages that create a version: its info, then its data.
    """
    info = protos.ModelVersionInfo(
        model_id=model_id,
        archived=archived,
        data_size=len(data),
        data_hash=b64encode(hashlib.sha256(data).digest()).decode(),
    )
    yield protos.CreateVersionRequestChunk(header={"version_info": info})
    for start in range(0, len(data), CHUNK_BYTES):
        yield protos.CreateVersionRequestChunk(body={"data_chunk": data[start : start + CHUNK_BYTES]})


def main(address: str) -> None:
    """
    Run each step once.
    """
    registry = services.ModelRegistrySPStub(grpc.insecure_channel(address))

    registry.CreateOrUpdateModel(
        protos.CreateOrUpdateModelRequest(model_info={"model_id": "walker", "user_data": {"algorithm": "ppo"}})
    )

    weights = os.urandom(10_000_000)
    reply = registry.CreateVersion(upload("walker", weights, archived=False))
    print("published version", reply.version_info.version_number)

    updates = registry.VersionUpdate(protos.VersionUpdateRequest(model_id="walker"))
    latest = next(updates).version_info
    updates.cancel()
    print("notified of version", latest.version_number)

    request = protos.RetrieveVersionDataRequest(model_id="walker", version_number=latest.version_number)
    fetched = b"".join(chunk.data_chunk for chunk in registry.RetrieveVersionData(request))
    print("fetched", len(fetched), "bytes,", "intact" if fetched == weights else "but they differ")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "localhost:9000")
