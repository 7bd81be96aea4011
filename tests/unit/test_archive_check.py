"""
Tests for the archive's identity in the metadata of calls.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.calls import METHOD, FakeContext, call_on
from twisted_registry.client._transport.archive_memory import ArchiveMemory
from twisted_registry.contracts.ownership import ArchiveIdentity, ArchiveStatus
from twisted_registry.domain.errors import ArchiveChanged
from twisted_registry.protocol.call_metadata import ARCHIVE_KEY, ASKED, SEEN_KEY, archive_in, seen_in
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.chain import ArchiveIdentityCheck


class Call(FakeContext):
    """
    A call, as both ends know it.

    Attributes:
        sent: the initial metadata that the server sent.
    """

    def __init__(self, *metadata: tuple[str, Any]) -> None:
        super().__init__(metadata=metadata)
        self.sent: tuple[tuple[str, str], ...] = ()

    async def send_initial_metadata(self, metadata: tuple[tuple[str, str], ...]) -> None:
        """
        Record initial metadata.
        """
        self.sent = metadata

    async def initial_metadata(self) -> Any:
        """
        Return the initial metadata to the client.
        """
        return self.sent


async def _run(handled: Awaitable[Any]) -> None:
    await handled


def check(call: Call, archive_id: str | None) -> None:
    """
    Check a call at a server with this archive.
    """

    async def handler(request: Any, call: CallContext) -> None:
        return None

    identity = ArchiveIdentityCheck(ArchiveStatus(ArchiveIdentity(archive_id)))
    asyncio.run(_run(identity.intercept(METHOD, handler)(None, call_on(call))))


class MetadataTests(SynchronousTestCase):
    """
    Metadata that do not follow the rules are ignored.
    """

    def test_archive(self) -> None:
        """
        An id is short and has only letters, digits and hyphens.
        """
        for value in ("a", "x" * 64, "0-Z", ASKED):
            self.assertEqual(archive_in((("user-agent", "x"), (ARCHIVE_KEY, value))), value)
        for wrong in ("", "x" * 65, "a b", "a\n", "??", "é", b"a"):
            self.assertEqual(archive_in(((ARCHIVE_KEY, wrong),)), "")
        self.assertEqual(archive_in(None), "")

    def test_seen(self) -> None:
        """
        A number has at most ten decimal digits.
        """
        self.assertEqual(seen_in(((SEEN_KEY, "2147483647"),)), 2**31 - 1)
        for wrong in ("", "0", "-1", "1.0", "01", "9" * 11, "\u0661", b"1"):
            self.assertEqual(seen_in(((SEEN_KEY, wrong),)), 0)
        self.assertEqual(seen_in(None), 0)


class ArchiveIdentityCheckTests(SynchronousTestCase):
    """
    ``ArchiveIdentityCheck`` refuses calls that are meant for another archive.
    """

    def test_without_archive(self) -> None:
        """
        A call that names no archive is served, without metadata in return.
        """
        call = Call(("user-agent", "x"))
        check(call, "one")
        self.assertEqual(call.sent, ())

    def test_asked(self) -> None:
        """
        A client that asks gets the id, if there is one.
        """
        for archive_id, answer in (("one", ((ARCHIVE_KEY, "one"),)), ("", ()), (None, ())):
            call = Call((ARCHIVE_KEY, ASKED))
            check(call, archive_id)
            self.assertEqual(call.sent, answer)

    def test_the_same(self) -> None:
        """
        A call that names the served archive is served.
        """
        check(Call((ARCHIVE_KEY, "one")), "one")

    def test_another(self) -> None:
        """
        A call that names another archive is refused, even if the served one has no id.
        """
        for served in ("other", ""):
            error = self.assertRaises(ArchiveChanged, check, Call((ARCHIVE_KEY, "one")), served)
            self.assertEqual((error.seen, error.served), ("one", served))
            self.assertIn("'one'", str(error))
            self.assertIn(repr(served) if served else "no id", str(error))

    def test_unknown_id(self) -> None:
        """
        If the id of the served archive is damaged, all calls are served.
        """
        check(Call((ARCHIVE_KEY, "one")), None)


class MemoryTests(SynchronousTestCase):
    """
    ``ArchiveMemory`` holds what a client has seen of an archive.
    """

    def learn(self, memory: ArchiveMemory, *metadata: tuple[str, Any]) -> None:
        """
        Let a server answer with initial metadata.
        """
        call = Call()
        call.sent = metadata
        asyncio.run(memory.learn(call))

    def test_first_archive(self) -> None:
        """
        The client asks until it gets an id, and then sends the first one.
        """
        memory = ArchiveMemory()
        self.learn(memory)
        self.learn(memory, (ARCHIVE_KEY, ASKED))
        self.assertEqual(memory.metadata, ((ARCHIVE_KEY, ASKED),))
        self.learn(memory, (ARCHIVE_KEY, "one"))
        self.learn(memory, (ARCHIVE_KEY, "other"))
        self.assertEqual(memory.metadata, ((ARCHIVE_KEY, "one"),))

    def test_highest_number(self) -> None:
        """
        The client sends the highest number it has seen of a model, until the model is forgotten.
        """
        memory = ArchiveMemory()
        self.assertEqual(memory.metadata_about("m"), ())
        for number in (3, 5, 4):
            memory.saw("m", number)
        self.assertEqual(memory.metadata_about("m"), ((SEEN_KEY, "5"),))
        memory.forget("m")
        memory.forget("m")
        self.assertEqual(memory.metadata_about("m"), ())

    def test_bounded(self) -> None:
        """
        Of very many models, the first are forgotten.
        """
        memory = ArchiveMemory()
        for number in range(1001):
            memory.saw(f"m{number}", 1)
        self.assertEqual((memory.metadata_about("m0"), memory.metadata_about("m1")), ((), ((SEEN_KEY, "1"),)))
