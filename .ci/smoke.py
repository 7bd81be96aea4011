"""
Starts the installed daemon in an empty directory, and talks to it as a client would.

    python smoke.py [CLIENT_PYTHON]

Run by the interpreter of an environment that holds the wheel and nothing of the checkout: it finds what a wheel forgot.
"""

import hashlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
from google.protobuf.message import Message
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from twisted_registry.protocol import messages

STARTED = re.compile(r"127\.0\.0\.1:([1-9][0-9]*)\b")
TIMEOUT_SECONDS = 30.0

DATA = os.urandom(5_000_000)


def check(holds: bool, fact: str) -> None:
    """
    Stop unless something holds.
    """
    if not holds:
        raise SystemExit(f"smoke: not so: {fact}")


@contextmanager
def daemon(directory: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """
    Run the daemon, on a free port; give its process and that port.
    """
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COGMENT_")}
    environ |= {"COGMENT_MODEL_REGISTRY_PORT": "0", "COGMENT_MODEL_REGISTRY_ARCHIVE_DIR": "archive"}
    twistd = Path(sys.executable).with_name("twistd")
    command = [str(twistd), "--nodaemon", "--pidfile=", "model-registry"]
    process = subprocess.Popen(command, cwd=directory, env=environ, stdout=subprocess.PIPE, text=True)
    watchdog = threading.Timer(TIMEOUT_SECONDS, process.kill)
    watchdog.start()
    try:
        yield process, port_of(process)
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()


def port_of(process: subprocess.Popen[str]) -> int:
    """
    Read the daemon's log until it says where it listens, and have the rest of it copied to our own.
    """
    assert process.stdout is not None
    log = process.stdout
    for line in log:
        print(line, end="")
        if (started := STARTED.search(line)) is not None:
            threading.Thread(target=lambda: sys.stdout.writelines(log), daemon=True).start()
            return int(started[1])
    raise SystemExit("smoke: the daemon ended, or was too slow, before it said where it listens")


def read_back(channel: grpc.Channel) -> None:
    """
    Make a model and an archived version, and read that.
    """
    api = messages.api

    def path(method: str) -> str:
        return f"/{messages.SERVICE_NAME}/{method}"

    def serialize(message: Message) -> bytes:
        return message.SerializeToString()

    create_model = channel.unary_unary(path("CreateOrUpdateModel"), serialize, api.CreateOrUpdateModelReply.FromString)
    create_version = channel.stream_unary(path("CreateVersion"), serialize, api.CreateVersionReply.FromString)
    retrieve_data = channel.unary_stream(
        path("RetrieveVersionData"), serialize, api.RetrieveVersionDataReplyChunk.FromString
    )

    create_model(api.CreateOrUpdateModelRequest(model_info=api.ModelInfo(model_id="smoke")), timeout=TIMEOUT_SECONDS)

    info = api.ModelVersionInfo(model_id="smoke", archived=True, data_size=len(DATA))
    chunk = api.CreateVersionRequestChunk
    parts = [chunk(header=chunk.Header(version_info=info))]
    parts += [chunk(body=chunk.Body(data_chunk=DATA[start : start + 2**20])) for start in range(0, len(DATA), 2**20)]
    created = create_version(iter(parts), timeout=TIMEOUT_SECONDS).version_info
    check(created.version_number == 1, "the first version is number 1")
    check(created.data_hash == b64encode(hashlib.sha256(DATA).digest()).decode(), "the hash is that of the data")

    request = api.RetrieveVersionDataRequest(model_id="smoke", version_number=-1)
    received = b"".join(reply.data_chunk for reply in retrieve_data(request, timeout=TIMEOUT_SECONDS))
    check(received == DATA, "what is read is what was written")


CLIENT = """
import importlib.metadata, sys
from twisted_registry.client import BlockingClient

with BlockingClient(sys.argv[1]) as registry:
    registry.ensure_model("smoke-client")
    info = registry.publish("smoke-client", bytes(1_000_000))
    assert registry.retrieve("smoke-client", info) == bytes(1_000_000)
installed = {found.name.lower() for found in importlib.metadata.distributions()}
assert "twisted-registry-client" in installed, installed
server_only = {"twisted-registry", "twisted", "zope.interface", "pyyaml", "uvloop", "grpcio-reflection"}
assert not installed & server_only, installed & server_only
"""
"""A check of an environment that has only twisted-registry-client."""


def use_client(python: str, port: int) -> None:
    """
    Publish and retrieve from an environment that has the client's wheel and nothing of the server.
    """
    done = subprocess.run([python, "-c", CLIENT, f"127.0.0.1:{port}"], check=False)
    check(done.returncode == 0, "a client works without the server's packages")


COMMAND = str(Path(sys.executable).with_name("twisted-registry"))


def pull(port: int) -> None:
    """
    Read the version by the command that came with the wheel, and so by the client library.
    """
    command = [COMMAND, "pull", "--server", f"127.0.0.1:{port}", "smoke@1", "-"]
    pulled = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    check(pulled.returncode == 0 and pulled.stdout == DATA, "what is pulled is what was written")


def verify(archive: Path) -> None:
    """
    Verify an archive by the command, whole and then damaged.
    """
    command = [COMMAND, "archive", "verify", str(archive)]
    check(subprocess.run(command, check=False).returncode == 0, "the archive is sound")
    (archive / "smoke" / "smoke-v000001.data").write_bytes(DATA[:-1])
    check(subprocess.run(command, check=False).returncode == 1, "damage is found")


def main() -> None:
    """
    Start, talk, stop, verify.
    """
    with tempfile.TemporaryDirectory() as directory, daemon(directory) as (process, port):
        with grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.enable_http_proxy", 0)]) as channel:
            health = HealthStub(channel).Check(HealthCheckRequest(), timeout=TIMEOUT_SECONDS, wait_for_ready=True)
            check(health.status == HealthCheckResponse.SERVING, "it is healthy")
            read_back(channel)
        pull(port)
        for python in sys.argv[1:]:
            use_client(python, port)
        check(Path(directory, "archive", "smoke", "smoke-v000001.data").exists(), "the version is on the archive")
        process.send_signal(signal.SIGTERM)
        check(process.wait() == 0, "it ends with 0 on SIGTERM")
        verify(Path(directory, "archive"))
    print("smoke: all is well")


if __name__ == "__main__":
    main()
