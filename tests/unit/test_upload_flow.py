"""
Tests of uploads.
"""

from concurrent.futures import Future
from typing import Any, cast

from attrs import define
from hypothesis import given, settings, strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.support.ports import Budget, FullBudget
from tests.support.runtimes import DeferredRuntime
from twisted_registry.application.creations import CreationRequest, Creations
from twisted_registry.application.queries import Queries
from twisted_registry.application.uploads import Gatherer, Uploads
from twisted_registry.application.versions import Versions
from twisted_registry.domain.creation import NO_DETAILS, CreationDetails
from twisted_registry.domain.errors import ModelReplaced, Overloaded, UnknownModel
from twisted_registry.domain.models import Chunk, VersionHeader

MIB = 2**20


@define
class Upload:
    """
    An upload to a model whose folder is gone.
    """

    header: VersionHeader = VersionHeader("m", True, 5 * MIB)  # noqa: RUF009  # it never changes
    held_bytes: int = 5 * MIB
    details: CreationDetails = NO_DETAILS
    is_aborted: bool = False

    def write(self, piece: Chunk) -> "Future[None]":
        """See ``IUpload.write``."""
        written: Future[None] = Future()
        written.set_exception(UnknownModel("m"))
        return written

    def abort(self) -> None:
        """See ``IUpload.abort``."""
        self.is_aborted = True


class Registry:
    """
    A registry with one upload.
    """

    def __init__(self) -> None:
        self.begun = Upload()

    def snapshot(self, model_id: str) -> Any:
        """
        Return something that is not ``None``.
        """
        return model_id

    def upload(self, *_: object) -> Upload:
        """
        Begin the upload.
        """
        return self.begun


class UploadsTests(SynchronousTestCase):
    """
    ``Uploads`` aborts what it began.
    """

    def upload(self, budget: Any) -> Upload:
        """
        Upload a version, which fails, and return the upload.
        """
        registry: Any = Registry()

        async def read() -> bytes:
            return bytes(MIB)

        uploads = Uploads(Queries(registry, DeferredRuntime()), budget, MIB, 0)
        self.upload_result = Deferred.fromCoroutine(uploads.create(registry.begun.header, read, Chunk))
        begun: Upload = registry.begun
        return begun

    def test_no_budget(self) -> None:
        """
        An upload that gets no part of the budget in time is aborted, with all that its storage has begun for it.
        """
        begun = self.upload(FullBudget())
        self.failureResultOf(self.upload_result, Overloaded)
        self.assertTrue(begun.is_aborted)

    def test_model_deleted_meanwhile(self) -> None:
        """
        If the model is being deleted while the data comes, the error says so.  Others may still see the model, and must
        not learn earlier that it does not exist.
        """
        budget = Budget()
        begun = self.upload(budget)
        self.failureResultOf(self.upload_result, ModelReplaced)
        self.assertTrue(begun.is_aborted)
        self.assertEqual(budget.reserved, [])


class SlowUpload(Upload):
    """
    An upload that stores nothing for now.
    """

    def write(self, piece: Chunk) -> "Future[None]":
        """See ``IUpload.write``."""
        return Future()


class Zeros:
    """
    Messages of 1 MiB.
    """

    count = 0

    async def read(self) -> bytes:
        """See ``IMessages.read``."""
        self.count += 1
        return bytes(MIB)

    def interrupt(self, error: Exception) -> None:
        """See ``IMessages.interrupt``."""


class CreationsTests(SynchronousTestCase):
    """
    ``Creations`` receives little more than it has stored.
    """

    def test_slow_archive(self) -> None:
        """
        If the archive is slow, 5 MiB are received that are not stored, whatever the length of a chunk: a kill of the
        registry loses them.
        """
        for chunk_bytes in (4 * MIB, 64 * MIB):
            registry: Any = Registry()
            registry.begun = SlowUpload(VersionHeader("m", True, 100 * MIB))
            messages, unused = Zeros(), cast(Any, None)
            queries = Queries(registry, DeferredRuntime())
            creations = Creations(queries, Versions(queries), Budget(), unused, chunk_bytes, 0)
            request = CreationRequest(registry.begun.header)
            created = Deferred.fromCoroutine(creations.create(request, messages, Chunk))
            self.assertNoResult(created)
            self.assertEqual(messages.count, 5)
            created.cancel()
            self.failureResultOf(created)
            self.assertTrue(registry.begun.is_aborted)


class GathererTests(SynchronousTestCase):
    """
    ``Gatherer`` gathers small messages and passes large ones.
    """

    def gathered(self, sizes: list[int]) -> tuple[list[Chunk], list[Chunk]]:
        """
        Return messages of some sizes, and the pieces that become of them.
        """
        gatherer = Gatherer(4_000_000)
        messages = [Chunk(b"head" + bytes([index % 256]) * size, 4) for index, size in enumerate(sizes)]
        pieces = [piece for message in messages for piece in gatherer.add(message)]
        return messages, [*pieces, *gatherer.flush()]

    @settings(deadline=None)
    @given(st.lists(st.integers(0, 200) | st.integers(60_000, 70_000), max_size=20))
    def test_the_data_stays(self, sizes: list[int]) -> None:
        """
        The data is the same, in order, whatever the sizes.
        """
        messages, pieces = self.gathered(sizes)
        self.assertEqual(*(b"".join(bytes(piece.data) for piece in each) for each in (messages, pieces)))

    def test_small_messages(self) -> None:
        """
        A stream of one-byte messages becomes a few pieces.
        """
        _, pieces = self.gathered([1] * 600_000)
        self.assertEqual([piece.size_bytes for piece in pieces], [262_144, 262_144, 75_712])

    def test_large_messages(self) -> None:
        """
        A large message passes as it is, after the small ones before it.
        """
        messages, pieces = self.gathered([1, 100_000])
        self.assertEqual(bytes(pieces[0].data), b"\x00")
        self.assertIs(pieces[1], messages[1])
