"""
Facts about the call that creates versions.
"""

import asyncio
from concurrent.futures import Future
from typing import Any

from attrs import define
from twisted.trial.unittest import SynchronousTestCase

from tests.support.calls import FakeContext, call_on
from tests.support.client import body, header
from twisted_registry.config.limits import Limits
from twisted_registry.domain.errors import ModelReplaced, Overloaded, UnknownModel
from twisted_registry.domain.models import Chunk, VersionHeader
from twisted_registry.rpc.admission import Admission
from twisted_registry.rpc.create import CreateCalls
from twisted_registry.rpc.outgoing import Outgoing

MIB = 2**20


@define
class Upload:
    """
    Stands in for an upload that has begun.
    """

    header: VersionHeader = VersionHeader("m", True, 5 * MIB)  # noqa: RUF009  # it never changes
    held_bytes: int = 5 * MIB
    aborted: bool = False

    def write(self, piece: Chunk) -> "Future[None]":
        """
        Find that the model's folder is gone.
        """
        written: Future[None] = Future()
        written.set_exception(UnknownModel("m"))
        return written

    def abort(self) -> None:
        """
        Note that it was given up.
        """
        self.aborted = True


class Lookup:
    """
    Stands in for the registry, of which only one thing is asked.
    """

    def __init__(self) -> None:
        self.registry: Any = self
        self.begun = Upload()

    async def snapshot(self, model_id: str) -> None:
        """
        Give nothing: nobody looks at it.
        """

    def upload(self, *_: object) -> Upload:
        """
        Begin an upload.
        """
        return self.begun


class Messages:
    """
    Stands in for what the client sends: a header, and what the test says.
    """

    def __init__(self, *others: bytes) -> None:
        self._left = [bytes(header("m", 5 * MIB).SerializeToString()), *others]

    async def read(self) -> bytes | None:
        """
        Give the next message.
        """
        return self._left.pop(0) if self._left else None


class CreateTests(SynchronousTestCase):
    """
    ``CreateCalls`` gives up what it began.
    """

    def test_no_room(self) -> None:
        """
        An upload for which there is no room in time is given up, with whatever its storage has begun for it.
        """

        async def test() -> None:
            limits = Limits(0, 8 * MIB, 0.0, 0.0, 0, 0.0, 0.0)
            admission, outgoing = Admission(limits), Outgoing(limits, set)
            lookup: Any = Lookup()
            messages: Any = Messages()
            async with admission.admitted(6 * MIB):
                with self.assertRaises(Overloaded):
                    await CreateCalls(lookup, admission, outgoing, MIB).create_version(messages, call_on(FakeContext()))
            self.assertTrue(lookup.begun.aborted)

        asyncio.run(test())

    def test_deleted_meanwhile(self) -> None:
        """
        Where the model is being deleted while the data comes, the creation says that it was deleted meanwhile: others
        may see it for a moment yet, and must not be told before that there is none.
        """

        async def test() -> None:
            limits = Limits(0, 8 * MIB, 0.0, 0.0, 0, 0.0, 0.0)
            lookup: Any = Lookup()
            messages: Any = Messages(body(bytes(MIB)).SerializeToString())
            calls = CreateCalls(lookup, Admission(limits), Outgoing(limits, set), MIB)
            with self.assertRaises(ModelReplaced):
                await calls.create_version(messages, call_on(FakeContext()))
            self.assertTrue(lookup.begun.aborted)

        asyncio.run(test())
