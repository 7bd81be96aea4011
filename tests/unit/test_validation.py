"""
Tests of the checks of what clients send.
"""

from hypothesis import example, given, settings, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.application.validation import check_archive, check_entries, checked_metadata, metadata_bytes
from twisted_registry.contracts.ownership import ArchiveIdentity, ArchiveStatus
from twisted_registry.domain.errors import ArchiveChanged, InvalidRequest, TooLarge
from twisted_registry.domain.models import MAX_ENTRIES, MAX_USER_DATA_BYTES
from twisted_registry.protocol.messages import api

TEXTS = st.text(max_size=20) | st.integers(100, 20_000).map("é".__mul__)


class MetadataTests(SynchronousTestCase):
    """
    Metadata is bounded by its encoded size.
    """

    @settings(deadline=None)
    @given(st.dictionaries(TEXTS, TEXTS, max_size=8))
    @example({})
    @example({"": ""})
    @example({"k": "v" * 121, "l": "v" * 122, "m": "v" * 127, "n": "v" * 128, "o": "v" * 16_384})
    def test_size(self, metadata: dict[str, str]) -> None:
        """
        The size is that of protobuf's encoding.
        """
        self.assertEqual(metadata_bytes(metadata), api.ModelInfo(user_data=metadata).ByteSize())

    def test_limit(self) -> None:
        """
        Metadata of just the limit passes, as a copy; one more byte is refused, and so are very many pairs.
        """
        metadata = {"k": "v" * (MAX_USER_DATA_BYTES - 11)}
        self.assertEqual(metadata_bytes(metadata), MAX_USER_DATA_BYTES)
        copy = checked_metadata(metadata)
        self.assertEqual(copy, metadata)
        self.assertIsNot(copy, metadata)
        metadata["k"] += "v"
        self.assertRaises(InvalidRequest, checked_metadata, metadata)
        many = {str(number): "" for number in range(100_000)}
        self.assertRaises(InvalidRequest, checked_metadata, many)

    def test_not_unicode(self) -> None:
        """
        A lone surrogate, which JSON can express, is refused.
        """
        self.assertRaises(InvalidRequest, checked_metadata, {"k": "\ud800"})


class EntriesTests(SynchronousTestCase):
    """
    A request names a bounded number of entries.
    """

    def test_limit(self) -> None:
        """
        One more than the limit is refused.
        """
        check_entries(MAX_ENTRIES)
        self.assertRaises(TooLarge, check_entries, MAX_ENTRIES + 1)


class ArchiveTests(SynchronousTestCase):
    """
    A call is meant for one archive.
    """

    def test_the_same(self) -> None:
        """
        The archive that the client has worked with passes.
        """
        check_archive(ArchiveStatus(ArchiveIdentity("one")), "one")

    def test_another(self) -> None:
        """
        Another archive is refused, also one without an id.
        """
        for served in ("other", ""):
            status = ArchiveStatus(ArchiveIdentity(served))
            error = self.assertRaises(ArchiveChanged, check_archive, status, "one")
            self.assertEqual((error.seen, error.served), ("one", served))

    def test_unreadable(self) -> None:
        """
        If the id of the archive is damaged, no client is refused.
        """
        check_archive(ArchiveStatus(ArchiveIdentity(None)), "one")
