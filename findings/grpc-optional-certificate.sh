#!/usr/bin/env bash
# grpcio 1.85.3: a server that knows the authorities of client certificates, and does not require one, never asks for one.
#
# Why it matters: a registry cannot know some callers by certificate and others by token on one port.  A client that has
# a certificate is served there without it, and the server cannot tell: nothing is refused, and nothing is logged.
#
# Observed: with root_certificates and require_client_auth=False, a client with a certificate of those authorities is
# served, and auth_context() has no x509 property of it; with require_client_auth=True it has them.
set -euo pipefail
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/venv"
"$directory/venv/bin/pip" --quiet --disable-pip-version-check install grpcio==1.85.3 trustme==1.2.1

"$directory/venv/bin/python" - <<'PYTHON'
from concurrent.futures import ThreadPoolExecutor

import grpc
import trustme

authority, client_authority = trustme.CA(), trustme.CA()
server_certificate = authority.issue_cert("localhost")
client_certificate = client_authority.issue_cert("trainer.example")


def pem(certificate):
    return certificate.private_key_pem.bytes(), b"".join(part.bytes() for part in certificate.cert_chain_pems)


def who(request, context):
    return ",".join(sorted(name for name in context.auth_context() if name.startswith("x509"))).encode()


handler = grpc.method_handlers_generic_handler("T", {"Who": grpc.unary_unary_rpc_method_handler(who)})
key, chain = pem(client_certificate)
credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes(), key, chain)
seen = {}
for required in (False, True):
    server = grpc.server(ThreadPoolExecutor(1), [handler])
    port = server.add_secure_port(
        "localhost:0",
        grpc.ssl_server_credentials([pem(server_certificate)], client_authority.cert_pem.bytes(), required),
    )
    server.start()
    with grpc.secure_channel(f"localhost:{port}", credentials) as channel:
        seen[required] = channel.unary_unary("/T/Who")(b"", timeout=30).decode()
    server.stop(None).wait()
    print(f"require_client_auth={required}: the server sees {seen[required] or 'no certificate'}")

assert seen[False] == "", seen
assert "x509_subject_alternative_name" in seen[True], seen
PYTHON
