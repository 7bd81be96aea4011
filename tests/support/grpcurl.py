"""
A replacement for grpcurl in tests: ``python -m tests.support.grpcurl -plaintext [-d JSON] ADDRESS SERVICE/METHOD``.

It knows the messages only from the server's reflection.
"""

import argparse
import json
import sys

import grpc

from tests.support.reflected import ReflectedClient

ENDLESS = "VersionUpdate"
"""The call that goes on until Ctrl-C: here, until its first message."""


def main() -> None:
    """
    Make a call, and print its replies.
    """
    parser = argparse.ArgumentParser(prog="grpcurl", allow_abbrev=False)
    parser.add_argument("-plaintext", action="store_true", required=True)
    parser.add_argument("-d", dest="data", default="{}")
    parser.add_argument("address")
    parser.add_argument("path")
    given = parser.parse_args()
    with grpc.insecure_channel(given.address) as channel:
        try:
            replies = ReflectedClient(channel).call(given.path, given.data, 1 if given.path.endswith(ENDLESS) else None)
        except grpc.RpcError as error:
            sys.exit(f"ERROR: {error}")
    for reply in replies:
        print(json.dumps(reply))


if __name__ == "__main__":
    main()
