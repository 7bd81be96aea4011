"""
A client of a daemon's HTTP port.
"""

import json
from collections.abc import Generator, Mapping
from contextlib import closing
from http.client import HTTPConnection, HTTPSConnection
from ssl import SSLContext
from typing import Any
from urllib.parse import urlencode

from tests.support.client import DEADLINE_SECONDS


class HttpClient:
    """
    A client that speaks only HTTP and JSON.
    """

    def __init__(self, port: int, token: str = "", tls: SSLContext | None = None) -> None:
        self._port = port
        self._tls = tls
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def post(self, call: str, **fields: Any) -> Any:
        """
        Make a call, and return its status with its reply.
        """
        return self._ask("POST", call, json.dumps(fields), {"Content-Type": "application/json"})

    def get(self, call: str, **fields: Any) -> Any:
        """
        Make a call that only reads, and return its status with its reply.
        """
        return self._ask("GET", f"{call}?{urlencode(fields)}", None, {})

    def _connect(self) -> HTTPConnection:
        if self._tls is None:
            return HTTPConnection("127.0.0.1", self._port, timeout=DEADLINE_SECONDS)
        return HTTPSConnection("127.0.0.1", self._port, timeout=DEADLINE_SECONDS, context=self._tls)

    def _ask(self, verb: str, path: str, body: str | None, headers: Mapping[str, str]) -> Any:
        with closing(self._connect()) as connection:
            connection.request(verb, f"/api/v1/{path}", body, {**self._headers, **headers})
            response = connection.getresponse()
            return response.status, json.loads(response.read())

    def events(self, cursor: str = "") -> Generator[tuple[str, Any], None, None]:
        """
        Return the events as they come, each with its id.
        """
        headers = {**self._headers, "Accept": "text/event-stream", **({"Last-Event-ID": cursor} if cursor else {})}
        with closing(self._connect()) as connection:
            connection.request("GET", "/api/v1/events", None, headers)
            response = connection.getresponse()
            identity = ""
            while line := response.readline().decode():
                name, _, value = line.rstrip("\n").partition(": ")
                if name == "id":
                    identity = value
                elif name == "data":
                    yield identity, json.loads(value)


def http_port(lines: list[str]) -> int:
    """
    Return the port for HTTP that a daemon has logged.
    """
    (port,) = [int(line.rsplit(":", 1)[1].strip(" /\n")) for line in lines if "HTTP is served at" in line]
    return port
