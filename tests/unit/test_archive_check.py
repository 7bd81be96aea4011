"""
What calls say about the archive.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.calls import METHOD, FakeContext, call_on
from twisted_registry.client._transport.archive_memory import ArchiveMemory
from twisted_registry.contracts.ownership import ArchiveIdentity, ArchiveStatus
from twisted_registry.domain.errors import ArchiveChanged
from twisted_registry.protocol.archive_metadata import ARCHIVE_KEY, ASKED, SEEN_KEY, archive_in, seen_in
from twisted_registry.rpc.call import CallContext
from twisted_registry.rpc.interceptors.archive_identity import ArchiveIdentityCheck


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
    Whatever comes as metadata is read as what it is, or is nothing.
    """

    def test_archive(self) -> None:
        """
        An id is short, and of letters, digits and hyphens.
        """
        for value in ("a", "x" * 64, "0-Z", ASKED):
            self.assertEqual(archive_in((("user-agent", "x"), (ARCHIVE_KEY, value))), value)
        for wrong in ("", "x" * 65, "a b", "a\n", "??", "é", b"a"):
            self.assertEqual(archive_in(((ARCHIVE_KEY, wrong),)), "")
        self.assertEqual(archive_in(None), "")

    def test_seen(self) -> None:
        """
        A number is a decimal of ten digits at most.
        """
        self.assertEqual(seen_in(((SEEN_KEY, "2147483647"),)), 2**31 - 1)
        for wrong in ("", "0", "-1", "1.0", "01", "9" * 11, "\u0661", b"1"):
            self.assertEqual(seen_in(((SEEN_KEY, wrong),)), 0)
        self.assertEqual(seen_in(None), 0)


class ArchiveIdentityCheckTests(SynchronousTestCase):
    """
    ``ArchiveIdentityCheck``.
    """

    def test_clients_of_other_makes(self) -> None:
        """
        A call that says nothing of an archive is let through, and told nothing.
        """
        call = Call(("user-agent", "x"))
        check(call, "one")
        self.assertEqual(call.sent, ())

    def test_asked(self) -> None:
        """
        Who asks is told the id, if there is one.
        """
        for archive_id, told in (("one", ((ARCHIVE_KEY, "one"),)), ("", ()), (None, ())):
            call = Call((ARCHIVE_KEY, ASKED))
            check(call, archive_id)
            self.assertEqual(call.sent, told)

    def test_the_same(self) -> None:
        """
        A call that names the archive is let through.
        """
        check(Call((ARCHIVE_KEY, "one")), "one")

    def test_another(self) -> None:
        """
        A call that names another archive is refused, also where the one that is served has no id.
        """
        for served in ("other", ""):
            error = self.assertRaises(ArchiveChanged, check, Call((ARCHIVE_KEY, "one")), served)
            self.assertEqual((error.seen, error.served), ("one", served))
            self.assertIn("'one'", str(error))
            self.assertIn(repr(served) if served else "no id", str(error))

    def test_cannot_be_told(self) -> None:
        """
        Where the id of the archive is damaged, nobody is kept from it.
        """
        check(Call((ARCHIVE_KEY, "one")), None)


class MemoryTests(SynchronousTestCase):
    """
    What a client remembers.
    """

    def learn(self, memory: ArchiveMemory, *metadata: tuple[str, Any]) -> None:
        """
        Let a server answer with these initial metadata.
        """
        call = Call()
        call.sent = metadata
        asyncio.run(memory.learn(call))

    def test_first_archive(self) -> None:
        """
        It asks until it is told, and then names the archive it was told of first.
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
        It names the highest number it has seen of a model, until that is gone.
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
        Of very many models the first ones are forgotten.
        """
        memory = ArchiveMemory()
        for number in range(1001):
            memory.saw(f"m{number}", 1)
        self.assertEqual((memory.metadata_about("m0"), memory.metadata_about("m1")), ((), ((SEEN_KEY, "1"),)))
