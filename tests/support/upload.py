"""
An upload that a test feeds, message by message.
"""

from queue import SimpleQueue
from typing import Any

from tests.support.client import DEADLINE_SECONDS, Client, Info, body


class Upload:
    """
    A ``CreateVersion`` call that has begun.

    Messages are sent at once; the stream stays open until ``end``.

    Attributes:
        call: the grpc call object.
        taken: how many messages gRPC has taken so far.
    """

    def __init__(self, client: Client, *messages: Any) -> None:
        self.taken = 0
        self._messages: SimpleQueue[Any] = SimpleQueue()
        for message in messages:
            self.feed(message)
        self.call = client.begin("CreateVersion", self._sent())

    def _sent(self) -> Any:
        for message in iter(self._messages.get, None):
            self.taken += 1
            yield message

    def has_taken(self, count: int) -> bool:
        """
        Return whether gRPC has taken at least a number of messages.
        """
        return self.taken >= count

    def feed(self, message: Any) -> None:
        """
        Send a message.
        """
        self._messages.put(message)

    def feed_data(self, data: bytes) -> None:
        """
        Send a body.
        """
        self.feed(body(data))

    def end(self) -> None:
        """
        End the stream.
        """
        self._messages.put(None)

    def result(self) -> Info:
        """
        Wait for the end, and return the version's info.
        """
        return self.call.result(DEADLINE_SECONDS).version_info

    def finish(self) -> Info:
        """
        End the stream, and return the version's info.
        """
        self.end()
        return self.result()

    def cancel(self) -> None:
        """
        Cancel the upload.
        """
        self.call.cancel()
        self.end()
