"""
Tests of the sender of webhooks, with real receivers.
"""

import os
import socket
import ssl
import time
from collections.abc import Sequence
from email.utils import formatdate
from ipaddress import ip_network
from pathlib import Path
from threading import Thread
from typing import Any

import trustme
from twisted.internet import reactor
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from tests.support.daemon import free_port
from tests.support.deliveries import ALL_EVENTS
from tests.support.webhook_receiver import Received, WebhookReceiver, new_secret
from twisted_registry.deliveries.addresses import AddressRule
from twisted_registry.deliveries.connection import NotSent
from twisted_registry.deliveries.destinations import Webhook
from twisted_registry.deliveries.messages import Message
from twisted_registry.deliveries.schedule import DELIVERED, Outcome
from twisted_registry.deliveries.signing import parse_secrets
from twisted_registry.deliveries.webhook import WebhookSender

_MESSAGE = Message(1, "msg_1", b'{"type": "alias.moved", "data": {}}', 0, 0)
_LOOPBACK = AddressRule((ip_network("127.0.0.0/8"),))


class Names:
    """
    A reactor whose names have given addresses, which counts how often it resolves them.
    """

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.connected: list[str] = []

    @property
    def nameResolver(self) -> "Names":  # noqa: N802
        """
        The resolver.
        """
        return self

    def resolveHostName(self, receiver: Any, name: str, port: int = 0, *_: Any) -> None:  # noqa: N802
        """
        Resolve a name to the next answer.
        """
        receiver.resolutionBegan(None)
        for address in self.answers.pop(0):
            kind = IPv6Address if ":" in address else IPv4Address
            receiver.addressResolved(kind("TCP", address, port))
        receiver.resolutionComplete()

    def connectTCP(self, host: str, port: int, *arguments: Any, **keywords: Any) -> Any:  # noqa: N802
        """
        Connect as the reactor does.
        """
        self.connected.append(host)
        return reactor.connectTCP(host, port, *arguments, **keywords)

    def __getattr__(self, name: str) -> Any:
        return getattr(reactor, name)


class WebhookTestCase(TestCase):
    """
    A receiver, and a sender.
    """

    def setUp(self) -> None:
        """
        Make the secret.
        """
        self.secret = new_secret()
        self.now = 1_700_000_000.0

    async def read_secrets(self, path: Path) -> Sequence[bytes]:
        """
        Return the secret.
        """
        return parse_secrets(self.secret.encode())

    def receiver(self, status: int = 204, context: ssl.SSLContext | None = None, **headers: str) -> WebhookReceiver:
        """
        Start a receiver.
        """
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        receiver = WebhookReceiver(lambda _: (status, sent), context)
        self.addCleanup(receiver.close)
        return receiver

    def webhook(
        self, url: str, rule: AddressRule = _LOOPBACK, ca_file: Path | None = None, seconds: float = 10.0
    ) -> Webhook:
        """
        Return a webhook.
        """
        return Webhook("ci", ALL_EVENTS, seconds, url, Path("secret"), ca_file, rule)

    async def send(self, webhook: Webhook, names: Names | None = None) -> Outcome:
        """
        Send a message once.
        """
        sender = WebhookSender(reactor if names is None else names, self.read_secrets, lambda: self.now)
        return await sender.send(webhook, _MESSAGE)

    async def send_to(self, receiver: WebhookReceiver, **options: Any) -> Outcome:
        """
        Send a message to a receiver.
        """
        return await self.send(self.webhook(f"http://127.0.0.1:{receiver.port}/hook?key=1", **options))


class ReplyTests(WebhookTestCase):
    """
    Requests, and the meaning of replies.
    """

    async def test_delivered(self) -> None:
        """
        The receiver gets the body as it is, with the headers of Standard Webhooks.
        """
        receiver = self.receiver(200)
        self.now = time.time()
        self.assertEqual(await self.send_to(receiver), DELIVERED)
        (received,) = receiver.received
        self.assertEqual((received.path, received.body), ("/hook?key=1", _MESSAGE.body))
        self.assertEqual((received.message_id, received.headers["content-type"]), ("msg_1", "application/json"))
        self.assertEqual(received.headers["host"], f"127.0.0.1:{receiver.port}")
        received.verify(self.secret)

    async def test_refused(self) -> None:
        """
        Other statuses are failures.
        """
        for status in (400, 404, 500):
            outcome = await self.send_to(self.receiver(status))
            self.assertEqual(outcome, Outcome(f"it answered with status {status}"))

    async def test_redirects_are_not_followed(self) -> None:
        """
        A redirect is a failure, and nothing is sent to where it leads.
        """
        elsewhere = self.receiver()
        outcome = await self.send_to(self.receiver(307, location=f"http://127.0.0.1:{elsewhere.port}/"))
        self.assertEqual(outcome.problem, "it answered with status 307, and redirects are not followed")
        self.assertEqual(elsewhere.received, [])

    async def test_gone(self) -> None:
        """
        Status 410 ends the webhook.
        """
        self.assertTrue((await self.send_to(self.receiver(410))).is_gone)

    async def test_retry_after(self) -> None:
        """
        A busy receiver says when it wants the next attempt: in seconds or as a date, an hour at most.
        """
        for status, text, expected in (
            (429, "30", 30.0),
            (503, formatdate(self.now + 90, usegmt=True), 90.0),
            (429, "99999", 3600.0),
            (429, formatdate(self.now - 90, usegmt=True), 0.0),
            (429, "soon", None),
            (503, "\xff\xfe", None),
            (500, "30", None),
        ):
            outcome = await self.send_to(self.receiver(status, retry_after=text))
            self.assertEqual(outcome.retry_after_seconds, expected, text)

    async def test_too_long(self) -> None:
        """
        A receiver that does not answer in time is left.
        """
        with socket.create_server(("127.0.0.1", 0)) as silent:
            outcome = await self.send(self.webhook(f"http://127.0.0.1:{silent.getsockname()[1]}/", seconds=0.2))
        self.assertEqual(outcome.problem, "it took longer than 0.2 s")

    async def test_endless_headers(self) -> None:
        """
        A receiver that sends headers without an end is left.
        """

        def answer(_: Received) -> tuple[int, dict[str, str]]:
            return 200, {f"x-{number}": "x" * 1000 for number in range(90)}

        receiver = self.receiver()
        receiver.answer = answer
        self.assertRegex((await self.send_to(receiver)).problem, r"the connection failed: .*[^.]$")

    async def test_no_receiver(self) -> None:
        """
        If nobody listens, the reason says so.
        """
        outcome = await self.send(self.webhook(f"http://127.0.0.1:{free_port()}/"))
        self.assertIn("refused", outcome.problem)

    async def test_no_secret(self) -> None:
        """
        Without a secret nothing is sent.
        """

        async def fail(path: Path) -> Sequence[bytes]:
            raise NotSent("the secret is open to other users")

        receiver = self.receiver()
        outcome = await WebhookSender(reactor, fail).send(self.webhook(f"http://127.0.0.1:{receiver.port}/"), _MESSAGE)
        self.assertEqual((outcome.problem, receiver.received), ("the secret is open to other users", []))

    async def test_proxies_of_the_environment_are_not_used(self) -> None:
        """
        A variable with a proxy has no effect.
        """
        proxy, receiver = self.receiver(), self.receiver()
        self.patch(os, "environ", {"http_proxy": f"http://127.0.0.1:{proxy.port}"})
        self.assertEqual(await self.send_to(receiver), DELIVERED)
        self.assertEqual((len(proxy.received), len(receiver.received)), (0, 1))


class AddressTests(WebhookTestCase):
    """
    The addresses of connections.
    """

    async def refused(self, url: str, rule: AddressRule, *addresses: str) -> str:
        """
        Send to a name with some addresses, which must not be connected to, and return the problem.
        """
        names = Names(addresses)
        outcome = await self.send(self.webhook(url, rule), names)
        self.assertEqual(names.connected, [])
        return outcome.problem

    async def test_private_addresses(self) -> None:
        """
        Nothing is sent to a private address, also if the name has a public one too.
        """
        for addresses in (("127.0.0.1",), ("8.8.8.8", "10.0.0.1"), ("::ffff:169.254.169.254",)):
            problem = await self.refused("https://ci.example.com/", AddressRule(), *addresses)
            self.assertEqual(
                problem, f"{addresses[-1]} is a private address; 'private_networks' of the webhook can allow it"
            )

    async def test_numbers_in_urls(self) -> None:
        """
        An address in the URL is checked as well, however it is written.
        """
        for host in ("127.0.0.1", "[::1]", "2130706433", "0x7f.1", "localhost"):
            outcome = await self.send(self.webhook(f"http://{host}:{free_port()}/", AddressRule()))
            self.assertRegex(outcome.problem, "private address|cannot be resolved", host)

    async def test_unencrypted(self) -> None:
        """
        Without https nothing is sent to a public address.
        """
        problem = await self.refused("http://ci.example.com/", AddressRule(), "8.8.8.8")
        self.assertEqual(problem, "without https, it is sent only to 'private_networks'")

    async def test_no_address(self) -> None:
        """
        A name without an address is named.
        """
        problem = await self.refused("https://ci.example.com/", AddressRule())
        self.assertEqual(problem, "the name ci.example.com cannot be resolved")

    async def test_the_name_is_resolved_once(self) -> None:
        """
        The connection is made to the address that was checked, with the name in the header.
        """
        receiver = self.receiver()
        names = Names(["127.0.0.1"], ["10.0.0.1"])
        outcome = await self.send(self.webhook(f"http://ci.example.com:{receiver.port}/"), names)
        self.assertEqual((outcome, names.connected, len(names.answers)), (DELIVERED, ["127.0.0.1"], 1))
        self.assertEqual(receiver.received[0].headers["host"], f"ci.example.com:{receiver.port}")

    async def test_the_next_address(self) -> None:
        """
        If an address refuses the connection, the next one is tried.
        """
        receiver = self.receiver()
        names = Names(["127.0.0.9", "127.0.0.1"])
        outcome = await self.send(self.webhook(f"http://ci.example.com:{receiver.port}/"), names)
        self.assertEqual((outcome, names.connected), (DELIVERED, ["127.0.0.9", "127.0.0.1"]))


class TlsTests(WebhookTestCase):
    """
    Certificates.
    """

    def setUp(self) -> None:
        """
        Make an authority.
        """
        super().setUp()
        self.authority = trustme.CA()
        self.ca_file = Path(self.mktemp())
        self.authority.cert_pem.write_to_path(str(self.ca_file))

    def secured(self, *names: str) -> WebhookReceiver:
        """
        Start a receiver with a certificate.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(*names).configure_cert(context)
        return self.receiver(context=context)

    async def sent(self, receiver: WebhookReceiver, ca_file: Path | None) -> Outcome:
        """
        Send to the name ``ci.example.com``.
        """
        webhook = self.webhook(f"https://ci.example.com:{receiver.port}/", ca_file=ca_file)
        return await self.send(webhook, Names(["127.0.0.1"]))

    async def test_delivered(self) -> None:
        """
        A receiver whose certificate is of the authority, and has the name, gets the webhook.
        """
        receiver = self.secured("ci.example.com")
        self.assertEqual(await self.sent(receiver, self.ca_file), DELIVERED)
        self.assertEqual(len(receiver.received), 1)

    async def test_refused(self) -> None:
        """
        One with another name, or of another authority, gets nothing.
        """
        other = Path(self.mktemp())
        trustme.CA().cert_pem.write_to_path(str(other))
        for names, ca_file in (
            (["other.example.com"], self.ca_file),
            (["ci.example.com"], other),
            (["ci.example.com"], None),
        ):
            receiver = self.secured(*names)
            outcome = await self.sent(receiver, ca_file)
            self.assertIn("the connection failed", outcome.problem)
            self.assertEqual(receiver.received, [])

    async def test_a_receiver_that_does_not_end_the_connection(self) -> None:
        """
        The connection ends with the reply, although the receiver keeps it open.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert("ci.example.com").configure_cert(context)
        ended: list[bytes] = []
        with socket.create_server(("127.0.0.1", 0)) as server:
            thread = Thread(target=self.keep_open, args=(server, context, ended), daemon=True)
            thread.start()
            webhook = self.webhook(f"https://ci.example.com:{server.getsockname()[1]}/", ca_file=self.ca_file)
            self.assertEqual(await self.send(webhook, Names(["127.0.0.1"])), DELIVERED)
            while not ended:
                await deferLater(reactor, 0.01)
        thread.join()
        self.assertEqual(ended, [b""])

    def keep_open(self, server: socket.socket, context: ssl.SSLContext, ended: list[bytes]) -> None:
        """
        Answer one request, and wait until the other side ends the connection, without an answer to the end of TLS.
        """
        plain, _ = server.accept()
        secured = context.wrap_socket(plain, server_side=True)
        secured.recv(65536)
        secured.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        below = socket.socket(fileno=secured.detach())
        data = b"..."
        with below:
            while data:
                try:
                    data = below.recv(65536)
                except ConnectionResetError:
                    data = b""
        ended.append(data)

    async def test_authorities_that_cannot_be_read(self) -> None:
        """
        A file without certificates is named.
        """
        empty = Path(self.mktemp())
        self.assertIn("cannot be read", (await self.sent(self.receiver(), empty)).problem)
        empty.touch()
        self.assertIn("no certificates", (await self.sent(self.receiver(), empty)).problem)
