"""
A receiver of webhooks, in a thread.
"""

import json
import os
import ssl
from base64 import b64encode
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from attrs import frozen
from standardwebhooks import Webhook


@frozen
class Received:
    """
    A webhook that was received.

    Attributes:
        path: the path of the URL, with its query.
        headers: the headers, with names in lower case.
    """

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def message_id(self) -> str:
        """
        The id of its message.
        """
        return self.headers["webhook-id"]

    @property
    def event(self) -> Any:
        """
        The event.
        """
        return json.loads(self.body)

    def verify(self, secret: str) -> None:
        """
        Check its signature with the library of Standard Webhooks.
        """
        Webhook(secret).verify(self.body, dict(self.headers))


Answer = Callable[[Received], tuple[int, Mapping[str, str]]]
"""Returns the status and the headers of a reply."""


def new_secret() -> str:
    """
    Return a secret that signs webhooks.
    """
    return f"whsec_{b64encode(os.urandom(32)).decode()}"


def write_secret(path: Path, *secrets: str) -> None:
    """
    Write a file of secrets.
    """
    path.touch(mode=0o600)
    path.write_text("".join(f"{secret}\n" for secret in secrets))


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """
        Ignore clients that leave, or that do not trust the certificate.
        """


class WebhookReceiver:
    """
    A receiver.

    Attributes:
        received: what was received, in order.
        answer: makes the replies.
    """

    def __init__(self, answer: Answer = lambda _: (204, {}), context: ssl.SSLContext | None = None) -> None:
        """

        Args:
            context: has the certificate; ``None`` without encryption.
        """
        self.received: list[Received] = []
        self.answer = answer
        self._lock = Lock()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        if context is not None:
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                received = Received(self.path, headers, body)
                with receiver._lock:
                    receiver.received.append(received)
                status, answered = receiver.answer(received)
                self.send_response(status)
                for name, value in answered.items():
                    self.send_header(name, value)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """
                Log nothing.
                """

        return Handler

    @property
    def port(self) -> int:
        """
        The port that it listens on.
        """
        return int(self._server.server_port)

    def types(self) -> list[str]:
        """
        Return the types of the events that were received, in order.
        """
        return [each.event["type"] for each in list(self.received)]

    def close(self) -> None:
        """
        Stop listening.
        """
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
