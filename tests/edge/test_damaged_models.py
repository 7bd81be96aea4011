"""
Tests for archives with damaged models, with pages full of damage, and with things in them that nobody stored.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from grpc import StatusCode

from tests.support.archive_files import write_model, write_version
from tests.support.edge import EdgeTestCase, SharedEdgeTestCase


def overwrite(content: bytes) -> Callable[[Path], object]:
    """
    Return a function that replaces a model's metadata.
    """
    return lambda yaml: yaml.write_bytes(content)


DAMAGE: Mapping[str, Callable[[Path], object]] = {
    "d-empty": overwrite(b""),
    "d-garbage": overwrite(bytes(range(256))),
    "d-zeroes": overwrite(bytes(100)),
    "d-list": overwrite(b"- 1\n"),
    "d-text": overwrite(b"hello"),
    "d-deep": overwrite(b"user_data: " + b"{a: " * 50_000),
    "d-user-data": overwrite(b"model_id: d-user-data\nuser_data: [1]\n"),
    "d-missing": lambda yaml: yaml.unlink(),
}
"""By the id of the model that has it."""

WHOLE = ["a", "e", "z"]


class DamagedModelTests(EdgeTestCase):
    """
    Models whose metadata is damaged, each with two versions that are whole, among models that are not damaged.
    """

    def prepare(self) -> None:
        """
        Lay out the models.
        """
        for model_id in WHOLE:
            write_version(write_model(self.archive, model_id), 1, b"whole")
        for model_id, damage in DAMAGE.items():
            folder = write_model(self.archive, model_id)
            for number in (1, 2):
                write_version(folder, number, b"data of %d" % number)
            damage(folder / f"{model_id}.yaml")

    def test_is_reported_and_repaired(self) -> None:
        """
        A damaged model is DATA_LOSS by its id until CreateOrUpdateModel repairs it; then its versions are back.
        """
        for model_id in DAMAGE:
            for call in self.calls(model_id):
                self.assert_refused(StatusCode.DATA_LOSS, call, repr(model_id), "CreateOrUpdateModel")
            self.client.save_model(model_id, mended="1")
            self.assertEqual(dict(self.client.models(model_id).model_infos[0].user_data), {"mended": "1"})
            self.assertEqual([info.version_number for info in self.client.infos(model_id).version_infos], [1, 2])
            self.assertEqual(self.client.data(model_id, -1), b"data of 2")
            self.assertEqual(self.client.create(model_id, b"new").version_number, 3)
        self.restart()
        self.assertEqual(len(self.client.models().model_infos), len(WHOLE) + len(DAMAGE))

    def calls(self, model_id: str) -> list[Callable[[], Any]]:
        """
        Return all calls about a model.
        """
        return [
            lambda: self.client.models(model_id),
            lambda: self.client.models("a", model_id),
            lambda: self.client.infos(model_id),
            lambda: self.client.infos(model_id, 1),
            lambda: self.client.data(model_id, -1),
            lambda: self.client.create(model_id, b"data"),
            lambda: list(self.client.updates(model_id)),
        ]

    def test_is_passed_over_in_lists(self) -> None:
        """
        A list has the intact models; no page of it is short before the end; the log reports the others.
        """
        self.assertEqual([info.model_id for info in self.client.models().model_infos], WHOLE)
        for handle, page, following in (("", ["a", "e"], "2"), ("2", ["z"], "3"), ("3", [], "3")):
            reply = self.client.models(count=2, handle=handle)
            self.assertEqual([info.model_id for info in reply.model_infos], page)
            self.assertEqual(reply.next_model_handle, following)
        for model_id in DAMAGE:
            self.wait_until_logged(f"model {model_id!r} is damaged")
        self.client.save_model("d-list")
        self.assertEqual([info.model_id for info in self.client.models().model_infos], ["a", "d-list", "e", "z"])

    def test_is_repaired_if_a_directory_has_its_name(self) -> None:
        """
        A directory in the place of a model's metadata is damage like any other, and repaired like any other.
        """
        yaml = self.archive / "z" / "z.yaml"
        self.daemon.stop()
        yaml.unlink()
        yaml.mkdir()
        self.daemon = self.start_daemon()
        self.client = self.connect()
        self.assert_refused(StatusCode.DATA_LOSS, lambda: self.client.models("z"), "'z'", "CreateOrUpdateModel")
        self.client.save_model("z", mended="1")
        self.assertEqual(dict(self.client.models("z").model_infos[0].user_data), {"mended": "1"})
        self.assertEqual(self.client.data("z", 1), b"whole")

    def test_can_be_deleted(self) -> None:
        """
        A damaged model can be deleted, and created again without its versions.
        """
        for model_id in DAMAGE:
            self.client.delete_model(model_id)
            self.assert_refused(StatusCode.NOT_FOUND, partial(self.client.models, model_id))
            self.client.save_model(model_id)
            self.assertEqual(list(self.client.infos(model_id).version_infos), [])


class DamagedPageTests(SharedEdgeTestCase):
    """
    A model most of whose versions are damaged.
    """

    WHOLE = (1, 2, 600, 1203, 1204)
    LAST = 1210

    def prepare(self) -> None:
        """
        Lay it out: more damage than is read in one go, in the middle and at the end.
        """
        folder = write_model(self.archive, "m")
        for number in range(1, self.LAST + 1):
            write_version(folder, number, b"data", None if number in self.WHOLE else "damaged")

    def test_page_is_not_short_before_the_end(self) -> None:
        """
        Other versions take the place of damaged ones, and the handle follows the last one given.
        """
        for count in (1, 2, 3, 4, 5, 100):
            numbers, handle = [], ""
            while True:
                reply = self.client.infos("m", count=count, handle=handle)
                page = [info.version_number for info in reply.version_infos]
                self.assertEqual(reply.next_version_handle, str(page[-1] + 1) if page else handle)
                numbers += page
                handle = reply.next_version_handle
                if len(page) < count:
                    break
            self.assertEqual(numbers, list(self.WHOLE))

    def test_all(self) -> None:
        """
        A list of all has those that are whole.
        """
        reply = self.client.infos("m")
        self.assertEqual([info.version_number for info in reply.version_infos], list(self.WHOLE))
        self.assertEqual(reply.next_version_handle, "1205")


class ForeignTests(EdgeTestCase):
    """
    An archive in which others have left things.
    """

    def prepare(self) -> None:
        """
        Lay out a model, and many things that are not models.
        """
        folder = write_model(self.archive, "m")
        write_version(folder, 1, b"one")
        write_version(folder, 10, b"ten")
        write_version(folder, 1_000_000, b"million")
        for name in (
            "notes.txt",
            ".hidden",
            "m-v1.yaml",
            "m-v00002.yaml",
            "m-v0000003.yaml",
            "m-v000004.yaml.tmp",
            ".m-v000005.yaml",
            "m-v000006.yaml~",
            "m-vxxxxxx.yaml",
            "m-v-00007.yaml",
            "n-v000008.yaml",
            "m-v000000.yaml",
            "m-v2147483648.yaml",
            "m-v99999999999999999999.yaml",
            "m-v000009.data",
            "M-V000011.YAML",
            "m-v00001\u0662.yaml",
        ):
            (folder / name).write_text((folder / "m-v000001.yaml").read_text())
        (folder / "m-v000012").mkdir()
        (folder / "m-v000013.d" / "x").mkdir(parents=True)
        (self.archive / "file").write_text("hello")
        (self.archive / "m.yaml").write_text("model_id: m\n")
        for name in ("empty", "lost+found", ".git", "with space", "%zz", "%6d", "%6D", "..m", "é"):
            (self.archive / name).mkdir()
            (self.archive / name / "file.yaml").write_text("model_id: x\n")
        (self.archive / "link").symlink_to("nowhere")
        (self.archive / "loop").symlink_to("loop")

    def test_is_passed_over(self) -> None:
        """
        Foreign files and folders are neither models nor versions, and stay where they are.
        """
        foreign = {path for path in self.archive.rglob("*") if ".0" not in path.parts and path.suffix != ".data"}
        self.assertEqual([info.model_id for info in self.client.models().model_infos], ["m"])
        infos = self.client.infos("m")
        self.assertEqual([info.version_number for info in infos.version_infos], [1, 10, 1_000_000])
        self.assertEqual(infos.next_version_handle, "1000001")
        self.assertEqual([self.client.data("m", n) for n in (1, 10, -1)], [b"one", b"ten", b"million"])
        for model_id in ("file", "empty", "lost+found", ".git", "with space", "%zz", "é", "link", "loop", "m.yaml"):
            self.assert_refused(StatusCode.NOT_FOUND, partial(self.client.models, model_id))
        self.assertEqual(self.client.create("m", b"new", archived=True).version_number, 1_000_001)
        self.assertEqual({path for path in foreign if not path.is_symlink() and not path.exists()}, set())

    def test_a_model_may_take_the_place_of_a_foreign_folder(self) -> None:
        """
        A model whose folder is there already, though it holds none, can be made.
        """
        for model_id in ("empty", "with space"):
            self.client.save_model(model_id)
            self.client.create(model_id, b"data", archived=True)
        self.restart()
        self.assertEqual([info.model_id for info in self.client.models().model_infos], ["empty", "m", "with space"])
        self.assertEqual(self.client.data("empty", 1), b"data")
