"""
A web server of a test, such as that of an issuer.
"""

import json
import ssl
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

Answer = bytes | Callable[[BaseHTTPRequestHandler], None]
"""A document, or a function that answers a request itself."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """
        Ignore clients that leave, or that do not trust the certificate.
        """


class DocumentServer:
    """
    A server of documents, in threads.

    Attributes:
        answers: the answers by their paths; others are not found.
        requests: the paths that were asked for, each with its ``Authorization``.
        over: set when the server stops, for answers that never end.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        """

        Args:
            context: has the certificate; ``None`` without encryption.
        """
        self.answers: dict[str, Answer] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.over = Event()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self.scheme = "http" if context is None else "https"
        if context is not None:
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        documents = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                documents.requests.append((self.path, self.headers["Authorization"]))
                answer = documents.answers.get(self.path)
                if answer is None:
                    self.send_error(404)
                elif callable(answer):
                    answer(self)
                else:
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler

    @property
    def url(self) -> str:
        """
        The URL of the server, without a path.
        """
        return f"{self.scheme}://127.0.0.1:{self._server.server_address[1]}"

    def publish(self, keys: bytes, issuer: str = "", keys_url: str = "") -> None:
        """
        Publish an OpenID configuration, and a key set.

        Args:
            issuer: the issuer that the configuration names; by default, the server's URL.
            keys_url: where it says that the keys are; by default, where they are.
        """
        configuration = {"issuer": issuer or self.url, "jwks_uri": keys_url or f"{self.url}/keys"}
        self.answers["/.well-known/openid-configuration"] = json.dumps(configuration).encode()
        self.answers["/keys"] = keys

    def stop(self) -> None:
        """
        Stop the server; its port refuses connections then.
        """
        self.over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def redirect(url: str) -> Answer:
    """
    Return an answer that redirects elsewhere.
    """

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(302)
        request.send_header("Location", url)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer
