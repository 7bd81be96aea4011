#!/usr/bin/env bash
# grpcio 1.85.3: server credentials that reload certificates can be used for one port only; others for any number.
#
# Why it matters: a registry that listens on two addresses, or on IPv4 and IPv6, and renews its certificate does not
# start, and the error says that an address could not be bound: operators look for a program that uses the port.
#
# Observed: the second add_secure_port with the same dynamic_ssl_server_credentials raises "Failed to bind to address",
# if the fetcher returns None for 'unchanged', as its documentation says; with ssl_server_credentials, and with separate
# dynamic credentials for each port, it succeeds.
set -euo pipefail
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
python3 -m venv "$directory/venv"
"$directory/venv/bin/pip" --quiet --disable-pip-version-check install grpcio==1.85.3 trustme==1.2.1

"$directory/venv/bin/python" - <<'PYTHON'
from concurrent.futures import ThreadPoolExecutor

import grpc
import trustme

certificate = trustme.CA().issue_cert("localhost")
pair = certificate.private_key_pem.bytes(), b"".join(part.bytes() for part in certificate.cert_chain_pems)


def static():
    return grpc.ssl_server_credentials([pair])


def reloading():
    return grpc.dynamic_ssl_server_credentials(grpc.ssl_server_certificate_configuration([pair]), lambda: None)


def ports(*credentials):
    server = grpc.server(ThreadPoolExecutor(1))
    try:
        return [server.add_secure_port("127.0.0.1:0", each) for each in credentials]
    except RuntimeError as error:
        return str(error)
    finally:
        server.stop(None)


one = static()
assert len(ports(one, one)) == 2
print("static credentials, two ports: bound")
one = reloading()
failure = ports(one, one)
print(f"reloading credentials, two ports: {failure}")
assert "Failed to bind to address" in failure, failure
both = ports(reloading(), reloading())
assert len(both) == 2 and all(both), both
print("separate reloading credentials for each port: bound")
PYTHON
