"""
The sender of webhooks.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.error import ConnectError, ConnectionClosed
from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from twisted.web.client import Agent, HTTPConnectionPool, ResponseFailed
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer, IResponse
from zope.interface import implementer

from twisted_registry import __version__
from twisted_registry.deliveries.connection import CheckedEndpoints, NotSent
from twisted_registry.deliveries.destinations import Webhook
from twisted_registry.deliveries.messages import Message
from twisted_registry.deliveries.schedule import DELIVERED, RETRY_AFTER_MAX_SECONDS, Outcome
from twisted_registry.deliveries.signing import signature

_log = Logger()

_GONE = 410
_BUSY = (429, 503)
_AGENT = f"twisted-registry/{__version__}"


@implementer(IBodyProducer)
class _Body:
    def __init__(self, content: bytes) -> None:
        self.length = len(content)
        self._content = content

    def startProducing(self, consumer: Any) -> "Deferred[None]":
        consumer.write(self._content)
        return succeed(None)

    def pauseProducing(self) -> None:
        return None

    resumeProducing = stopProducing = pauseProducing


class _Ended(Protocol):
    """
    A reader of no body.
    """

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.loseConnection()


class WebhookSender:
    """
    A sender of webhooks.  It follows no redirects, and uses no proxies.
    """

    def __init__(
        self,
        reactor: Any,
        read_secrets: Callable[[Path], Awaitable[Sequence[bytes]]],
        seconds: Callable[[], float] = time.time,
    ) -> None:
        """

        Args:
            read_secrets: returns the keys in a file of secrets, or raises ``NotSent``.
            seconds: returns the time in seconds since the Unix epoch.
        """
        self._reactor = reactor
        self._read_secrets = read_secrets
        self._seconds = seconds

    def send(self, webhook: Webhook, message: Message) -> "Deferred[Outcome]":
        """
        Send a message once.

        Returns:
            fires with the result.  Cancel it to end the attempt.
        """
        return Deferred.fromCoroutine(self._send(webhook, message))

    async def _send(self, webhook: Webhook, message: Message) -> Outcome:
        try:
            keys = await self._read_secrets(webhook.secret_file)
            response = await self._answer(webhook, self._request(webhook, message, keys))
        except NotSent as error:
            return Outcome(str(error))
        except (ConnectError, ConnectionClosed, ResponseFailed) as error:
            return Outcome(_reason(error))
        except CancelledError:
            raise
        except Exception:  # the queue must go on
            _log.failure("a bug in the delivery of {event} to {name}", event=message.message_id, name=webhook.name)
            return Outcome("a bug in the registry, which its log describes")
        response.deliverBody(_Ended())
        return self._outcome(response)

    async def _answer(self, webhook: Webhook, request: "Deferred[IResponse]") -> IResponse:
        timer = self._reactor.callLater(webhook.timeout_seconds, request.cancel)
        try:
            return await request
        except (CancelledError, ResponseFailed) as error:
            if not timer.active():
                raise NotSent(f"it took longer than {webhook.timeout_seconds:g} s") from None
            if isinstance(error, ResponseFailed) and error.reasons[0].check(CancelledError):
                raise CancelledError from None
            raise
        finally:
            if timer.active():
                timer.cancel()

    def _request(self, webhook: Webhook, message: Message, keys: Sequence[bytes]) -> "Deferred[IResponse]":
        timestamp = int(self._seconds())
        headers = {
            "content-type": "application/json",
            "user-agent": _AGENT,
            "webhook-id": message.message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(keys, message.message_id, timestamp, message.body),
        }
        pool = HTTPConnectionPool(self._reactor, persistent=False)
        agent = Agent.usingEndpointFactory(self._reactor, CheckedEndpoints(self._reactor, webhook), pool)
        sent: Deferred[IResponse] = agent.request(
            b"POST",
            webhook.url.encode("ascii"),
            Headers({name: [value] for name, value in headers.items()}),
            _Body(message.body),
        )
        return sent

    def _outcome(self, response: IResponse) -> Outcome:
        if 200 <= response.code < 300:
            return DELIVERED
        problem = f"it answered with status {response.code}"
        if response.code == _GONE:
            return Outcome(problem, is_gone=True)
        if 300 <= response.code < 400:
            problem += ", and redirects are not followed"
        return Outcome(problem, self._retry_after(response) if response.code in _BUSY else None)

    def _retry_after(self, response: IResponse) -> float | None:
        # As bytes: Twisted itself fails if they are not UTF-8.
        text = (response.headers.getRawHeaders(b"retry-after") or [b""])[0].decode("latin-1")
        try:
            seconds = float(text) if text.isascii() and text.isdecimal() else self._until(text)
        except (ValueError, OverflowError):
            return None
        return min(max(seconds, 0.0), RETRY_AFTER_MAX_SECONDS)

    def _until(self, text: str) -> float:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - self._seconds()


def _reason(error: Exception) -> str:
    if isinstance(error, ResponseFailed) and error.reasons:
        error = error.reasons[0].value
    text = str(error).rstrip(".") or type(error).__name__
    return f"the connection failed: {text}"[:300]
