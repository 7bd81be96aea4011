"""
Tests of model ids: which are allowed, and that none does harm.
"""

from functools import partial

from grpc import StatusCode

from tests.support.edge import EdgeTestCase, SharedEdgeTestCase
from twisted_registry.protocol.messages import api

ODD_IDS = [
    "..",
    ".",
    ".0",
    ".0/tmp/x",
    "/",
    "/etc/passwd",
    "a/../../b",
    "../outside",
    "a\\b",
    "CON",
    "con",
    "nul.txt",
    "m",
    "M",
    "m-v000001",
    "m-v000001.yaml",
    "m.yaml",
    "9abc",
    "-",
    "_",
    "%",
    "%6D",
    "%2E%2E",
    " ",
    " m",
    "m ",
    'a:b*c?d"e<f>g|h',
    "$HOME",
    "~",
    "{}",
    "null",
    "1",
    "é",
    "e\u0301",
    "模型",
    "🤖",
    "\u2028",
    "\u200b",
    "\ufeffm",
    "\U0010ffff",
    "x" * 200,
    "." * 200,
    "%" * 200,
    "☃" * 66,
    "☃" * 65 + "snow",
]
"""Ids like any other: all different, all allowed."""

CONTROL_CHARACTERS = [*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0))]


class OddModelIdTests(EdgeTestCase):
    """
    Ids that look dangerous.
    """

    def test_all_are_models_of_their_own(self) -> None:
        """
        No two ids share metadata or versions, also after a restart.
        """
        for model_id in ODD_IDS:
            self.client.save_model(model_id, mine=model_id)
            info = self.client.create(model_id, model_id.encode(), archived=True)
            self.assertEqual((info.model_id, info.version_number), (model_id, 1))
        self.assert_all_apart()
        self.restart()
        self.assert_all_apart()

    def assert_all_apart(self) -> None:
        """
        Check that each model has its metadata and version.
        """
        infos = self.client.models().model_infos
        self.assertEqual([info.model_id for info in infos], sorted(ODD_IDS))
        self.assertEqual([info.user_data["mine"] for info in infos], sorted(ODD_IDS))
        for model_id in ODD_IDS:
            self.assertEqual(self.client.latest(model_id).model_id, model_id)
            self.assertEqual(self.client.data(model_id, -1), model_id.encode())

    def test_none_leaves_the_archive(self) -> None:
        """
        Nothing is written beside the archive, and deleting a model of any id removes only that model.
        """
        self.client.save_model("kept")
        self.client.create("kept", b"data", archived=True)
        for model_id in ODD_IDS:
            self.client.save_model(model_id)
            self.client.create(model_id, b"data", archived=True)
        self.assertEqual([path.name for path in self.directory.iterdir()], ["archive"])
        self.assertEqual([path for path in self.archive.iterdir() if not path.is_dir()], [])
        for model_id in ODD_IDS:
            self.client.delete_model(model_id)
        self.assertEqual([path.name for path in self.archive.glob("[!.]*")], ["kept"])
        self.assertEqual(self.client.data("kept", 1), b"data")


class ModelIdTests(SharedEdgeTestCase):
    """
    Which ids are refused.
    """

    def assert_id_refused(self, model_id: str, *said: str) -> None:
        """
        Check that no model can have an id.
        """
        self.assert_refused(StatusCode.INVALID_ARGUMENT, lambda: self.client.save_model(model_id), *said)

    def test_empty(self) -> None:
        """
        An empty id is refused.
        """
        self.assert_id_refused("", "empty")

    def test_too_long(self) -> None:
        """
        An id of more than 200 bytes of UTF-8 is refused, and the text says how many it has.
        """
        self.assert_id_refused("x" * 201, "201", "200")
        self.assert_id_refused("☃" * 67, "201", "200")
        self.assert_id_refused("☃" * 200, "600", "200")

    def test_control_characters(self) -> None:
        """
        An id with a control character anywhere is refused.
        """
        for character in CONTROL_CHARACTERS:
            self.assert_id_refused(f"m{character}m", "control character")
        self.assert_id_refused("\n", "control character")
        self.assert_id_refused("m\n", "control character")

    def test_not_utf_8(self) -> None:
        """
        An id that is not UTF-8 is refused.
        """
        for model_id in (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x98"):
            info = b"\x0a%c%s" % (len(model_id), model_id)
            request = b"\x0a%c%s" % (len(info), info)
            self.assert_refused(StatusCode.INVALID_ARGUMENT, partial(self.client.call, "CreateOrUpdateModel", request))

    def test_refused_ids_leave_nothing(self) -> None:
        """
        A refused id creates no model.
        """
        for model_id in ("", "x" * 201, "m\n"):
            self.assert_id_refused(model_id)
            self.assert_refused(StatusCode.NOT_FOUND, partial(self.client.infos, model_id))
            self.assertNotIn(model_id, [info.model_id for info in self.client.models().model_infos])

    def test_the_longest_id(self) -> None:
        """
        An id of exactly 200 bytes is allowed, in any script.
        """
        for model_id in ("y" * 200, "é" * 100, "🤖" * 50):
            self.client.save_model(model_id)
            self.assertEqual(self.client.models(model_id).model_infos[0], api.ModelInfo(model_id=model_id))
