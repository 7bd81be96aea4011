"""
Facts about the call that creates versions.
"""

import asyncio
from typing import Any

from attrs import define
from twisted.trial.unittest import SynchronousTestCase

from tests.support.client import header
from twisted_registry.errors import Overloaded
from twisted_registry.interfaces import Limits
from twisted_registry.rpc.admission import Admission
from twisted_registry.rpc.create import CreateCalls
from twisted_registry.rpc.outgoing import Outgoing

MIB = 2**20


@define
class Upload:
    """
    Stands in for an upload that has begun.
    """

    held_bytes: int = 5 * MIB
    aborted: bool = False

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
    Stands in for what the client sends: a header.
    """

    async def read(self) -> bytes:
        """
        Give it.
        """
        return bytes(header("m", 5 * MIB).SerializeToString())


class Context:
    """
    A call whose metadata say nothing.
    """

    def invocation_metadata(self) -> tuple[()]:
        """
        Give them.
        """
        return ()


class CreateTests(SynchronousTestCase):
    """
    L{CreateCalls} gives up what it began.
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
                    await CreateCalls(lookup, admission, outgoing, MIB).create_version(messages, Context())
            self.assertTrue(lookup.begun.aborted)

        asyncio.run(test())
