"""
Tests for the metadata of models and versions.
"""

from grpc import StatusCode

from tests.support.client import header
from tests.support.edge import EdgeTestCase, SharedEdgeTestCase
from tests.support.upload import Upload
from twisted_registry.protocol.messages import api

LIMIT_BYTES = 256 * 1024

ODD_USER_DATA = {
    "": "empty key",
    "empty value": "",
    "=": "=",
    "<<": "<<",
    "n": "1",
    "float": "1e3",
    "true": "no",
    "null": "~",
    "date": "2021-10-01",
    "quotes": "'\"\\",
    "lines": "a\nb\r\nc\n\n",
    "spaces": "  a  ",
    "tab\tkey": "\t",
    "colon: ": "- a # b",
    "next line": "\u0085",
    "separators": "\u2028\u2029",
    "control": "\x00\x01\x1b\x7f\x9f",
    "bom": "\ufeff",
    "emoji": "🤖",
    "key 🤖 é": "模型",
    "not a character": "\ufffe\uffff",
    "long": "x" * 5000 + " " + "y" * 5000,
    "k" * 2000: "long key",
}


def user_data_of(size_bytes: int) -> dict[str, str]:
    """
    Return metadata of an exact encoded size.
    """
    filler = size_bytes
    while api.ModelInfo(user_data={"k": "x" * filler}).ByteSize() > size_bytes:
        filler -= 1
    return {"k": "x" * filler}


class UserDataTests(SharedEdgeTestCase):
    """
    The limit on metadata.
    """

    def test_at_the_limit(self) -> None:
        """
        Metadata of 256 KiB encoded is accepted, for a model and for transient and archived versions.
        """
        user_data = user_data_of(LIMIT_BYTES)
        self.assertEqual(api.ModelInfo(user_data=user_data).ByteSize(), LIMIT_BYTES)
        self.client.save_model(self.model_id, **user_data)
        self.assertEqual(dict(self.client.models(self.model_id).model_infos[0].user_data), user_data)
        for archived in (False, True):
            self.client.create(self.model_id, b"data", archived=archived, user_data=user_data)
            self.assertEqual(dict(self.client.latest(self.model_id).user_data), user_data)

    def test_of_a_model_over_the_limit(self) -> None:
        """
        One byte more for a model is refused with both numbers, and the old metadata stays.
        """
        self.client.save_model(self.model_id, old="1")
        self.assert_refused(
            StatusCode.INVALID_ARGUMENT,
            lambda: self.client.save_model(self.model_id, **user_data_of(LIMIT_BYTES + 1)),
            str(LIMIT_BYTES),
            str(LIMIT_BYTES + 1),
        )
        self.assertEqual(dict(self.client.models(self.model_id).model_infos[0].user_data), {"old": "1"})

    def test_of_a_version_over_the_limit(self) -> None:
        """
        One byte more for a version is refused at the header, and no version is created.
        """
        self.client.save_model(self.model_id)
        for archived in (False, True):
            too_much = header(self.model_id, 4, archived=archived, user_data=user_data_of(LIMIT_BYTES + 1))
            upload = Upload(self.client, too_much)
            self.addCleanup(upload.end)
            self.assert_refused(StatusCode.INVALID_ARGUMENT, upload.result, str(LIMIT_BYTES), str(LIMIT_BYTES + 1))
        self.assertEqual(list(self.client.infos(self.model_id).version_infos), [])

    def test_many_small_entries_count_encoded(self) -> None:
        """
        The encoded size counts, also for many small entries.
        """
        user_data = {f"{number:05}": "" for number in range(LIMIT_BYTES // 11 + 1)}
        self.assert_refused(
            StatusCode.INVALID_ARGUMENT, lambda: self.client.save_model(self.model_id, **user_data), str(LIMIT_BYTES)
        )

    def test_ten_infos_fit_a_stock_client(self) -> None:
        """
        Ten infos with the largest metadata fit into a message of 4 MiB, which stock clients accept.
        """
        self.client.save_model(self.model_id)
        for _ in range(10):
            self.client.create(self.model_id, b"data", user_data=user_data_of(LIMIT_BYTES))
        self.assertEqual(len(self.client.infos(self.model_id, count=10).version_infos), 10)


class OddUserDataTests(EdgeTestCase):
    """
    The contents of metadata.
    """

    def test_comes_back_as_it_was(self) -> None:
        """
        Keys and values of any text come back unchanged, also from the archive after a restart.
        """
        self.client.save_model("m", **ODD_USER_DATA)
        self.client.create("m", b"data", archived=True, user_data=ODD_USER_DATA)
        self.assert_unchanged()
        self.restart()
        self.assert_unchanged()

    def assert_unchanged(self) -> None:
        """
        Check the metadata of the model and of its version.
        """
        self.assertEqual(dict(self.client.models("m").model_infos[0].user_data), ODD_USER_DATA)
        self.assertEqual(dict(self.client.latest("m").user_data), ODD_USER_DATA)
