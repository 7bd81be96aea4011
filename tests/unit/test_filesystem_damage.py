"""
The archive on a file system: damage, which stays limited to what is damaged.
"""

import contextlib
import errno
import os
import zlib
from collections.abc import Callable, Iterator

from attrs import evolve

from tests.support.faulty_system import failing_at, failing_from, failing_where
from tests.support.filesystem_case import FilesystemCase
from twisted_registry.domain.errors import (
    CannotStart,
    CorruptModel,
    CorruptVersion,
    StorageUnavailable,
    TooManyOpenFiles,
)
from twisted_registry.domain.models import MAX_VERSION_NUMBER, ModelInfo
from twisted_registry.storage.filesystem import layout as _layout
from twisted_registry.storage.filesystem.metadata import MAX_METADATA_BYTES, dump_model
from twisted_registry.testing.samples import data_of, put

GARBAGE = (b"", b"\0" * 100, b"text", b"- a\n", b"{", b"\xff\xfe\xff", b"user_data: [a]\n", b"[" * 100_000)

PASSING = (
    *(errno.ESTALE, errno.ETIMEDOUT, errno.EIO, errno.EINTR, errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE),
    *(errno.ENODEV, errno.ENXIO, errno.EHOSTDOWN, errno.ENOTCONN, errno.EREMOTEIO, errno.ECONNRESET, errno.ENOLINK),
    *(errno.EACCES, errno.EPERM, errno.EUCLEAN, errno.EBADMSG, errno.EBUSY, errno.EDEADLK, errno.ENOLCK),
)
"""Errors after which nobody knows what is in a file."""


class ModelDamageTests(FilesystemCase):
    """
    Damaged models.
    """

    def setUp(self) -> None:
        """
        Create a model with two versions, and another model.
        """
        super().setUp()
        self.archive.save_model(ModelInfo("m", {"a": "b"}))
        self.archive.save_model(ModelInfo("other"))
        for number in (1, 2):
            put(self.archive, "m", number)
        self.yaml = self.root / "m" / "m.yaml"

    def assert_damaged_then_repaired(self) -> None:
        """
        Check that the model is listed, cannot be loaded, and can be loaded after it is saved again.
        """
        self.assertEqual(sorted(self.archive.model_ids()), ["m", "other"])
        self.assertEqual(self.assertRaises(CorruptModel, self.archive.load_model, "m").model_id, "m")
        self.assertEqual(self.archive.version_numbers("m"), [1, 2])
        self.archive.save_model(ModelInfo("m", {"c": "d"}))
        self.assertEqual(self.archive.load_model("m").metadata, {"c": "d"})

    def test_garbage(self) -> None:
        """
        A model with an invalid .yaml is damaged, its versions are not, and saving it repairs it.
        """
        for garbage in GARBAGE:
            self.yaml.write_bytes(garbage)
            self.assert_damaged_then_repaired()

    def test_missing(self) -> None:
        """
        A model with versions but without a .yaml is damaged, and saving it repairs it.
        """
        self.yaml.unlink()
        self.assert_damaged_then_repaired()

    def test_no_file(self) -> None:
        """
        A pipe or a broken link in place of the .yaml does not block.
        """
        self.yaml.unlink()
        os.mkfifo(self.yaml)
        self.assert_damaged_then_repaired()
        self.yaml.unlink()
        self.yaml.symlink_to("nowhere")
        self.assert_damaged_then_repaired()

    def test_delete(self) -> None:
        """
        A damaged model can be deleted.
        """
        self.yaml.unlink()
        self.archive.delete_model("m")
        self.assertEqual(self.archive.model_ids(), ["other"])

    def test_other_id(self) -> None:
        """
        The folder's name determines the id, whatever the .yaml says.
        """
        self.yaml.write_bytes(dump_model(ModelInfo("n", {"a": "b"})))
        self.assertEqual(self.archive.load_model("m"), ModelInfo("m", {"a": "b"}))

    def test_hashed_folder(self) -> None:
        """
        A model in a folder with a hashed name is not listed if none of its files holds its id; saving it repairs it.
        """
        model_id = "." * 200
        self.archive.save_model(ModelInfo(model_id))
        yaml = _layout.model_folder(str(self.root), model_id).yaml
        for content in (dump_model(ModelInfo("." * 199)), b"user_data: {}\n", b"garbage"):
            (self.root / yaml).write_bytes(content)
            self.assertNotIn(model_id, self.archive.model_ids())
            self.assertRaises(CorruptModel, self.archive.load_model, model_id)
            self.archive.save_model(ModelInfo(model_id))
            self.assertIn(model_id, self.archive.model_ids())

    def test_hashed_folder_with_versions(self) -> None:
        """
        If the .yaml of a model in such a folder is damaged or missing, one of its versions supplies the id.
        """
        model_id = "." * 200
        self.archive.save_model(ModelInfo(model_id))
        folder = _layout.model_folder(str(self.root), model_id)
        for number in (1, 2):
            put(self.archive, model_id, number)
        (self.root / folder.version_yaml(2)).write_bytes(b"garbage")
        (self.root / folder.yaml).write_bytes(b"garbage")
        self.assertIn(model_id, self.archive.model_ids())
        os.unlink(folder.yaml)
        self.assertIn(model_id, self.archive.model_ids())
        os.symlink(folder.yaml, folder.yaml)
        self.assertIn(model_id, self.archive.model_ids())
        self.assertRaises(CorruptModel, self.archive.load_model, model_id)


class VersionDamageTests(FilesystemCase):
    """
    Damaged versions.
    """

    def setUp(self) -> None:
        """
        Create a model with two versions.
        """
        super().setUp()
        self.archive.save_model(ModelInfo("m"))
        self.infos = {number: put(self.archive, "m", number) for number in (1, 2)}
        self.yaml = self.root / "m" / "m-v000002.yaml"
        self.data = self.root / "m" / "m-v000002.data"

    def assert_damaged(self, reason: str = "") -> None:
        """
        Check that the second version is listed and cannot be loaded, while the first one can.
        """
        self.assertEqual(self.archive.version_numbers("m"), [1, 2])
        self.assertEqual(self.archive.load_version("m", 1), self.infos[1])
        error = self.assertRaises(CorruptVersion, self.archive.load_version, "m", 2)
        self.assertEqual((error.model_id, error.version_number), ("m", 2))
        self.assertIn(reason, error.reason)
        self.assertNotIn(str(self.root), str(error))

    def test_garbage(self) -> None:
        """
        A version with an invalid .yaml is damaged.
        """
        for garbage in (*GARBAGE, self.yaml.read_bytes().replace(b"data_size: 4", b"data_size: -4")):
            self.yaml.write_bytes(garbage)
            self.assert_damaged("its .yaml: ")

    def test_large(self) -> None:
        """
        A .yaml that is too large is not read.
        """
        os.truncate(self.yaml, MAX_METADATA_BYTES + 1)
        self.assert_damaged("more than")

    def test_no_file(self) -> None:
        """
        A pipe or a folder in place of the .yaml or the data is damage.
        """
        for path in (self.data, self.yaml):
            path.unlink()
            os.mkfifo(path)
            self.assert_damaged("not a regular file")
            path.unlink()
            path.mkdir()
            self.assert_damaged("not a regular file")
        self.assertRaises(CorruptVersion, self.archive.open_version, "m", 2)

    def test_data(self) -> None:
        """
        Data that is missing, too short or too long is damage.
        """
        for content in (b"dat", b"data.", b""):
            self.data.write_bytes(content)
            self.assert_damaged("instead of 4")
        self.data.unlink()
        self.assert_damaged("its .data: it is missing")
        self.assertRaises(CorruptVersion, self.archive.open_version, "m", 2)

    def test_names_decide(self) -> None:
        """
        The names determine id and number, whatever the .yaml says.
        """
        self.yaml.write_bytes(self.yaml.read_bytes().replace(b'model_id: "m"\nversion_number: 2', b"version_number: 9"))
        self.assertEqual(self.archive.load_version("m", 2), evolve(self.infos[1], version_number=2))

    def test_orphan(self) -> None:
        """
        Data that has lost its .yaml is not a version, and is kept.
        """
        (self.root / "m" / "m-v000001.yaml").unlink()
        self.assertEqual(self.archive.version_numbers("m"), [2])
        self.assertIn("m/m-v000001.data", self.files())

    def test_numbers_out_of_range(self) -> None:
        """
        Numbers that no version can have are ignored.
        """
        for number in (0, MAX_VERSION_NUMBER + 1):
            (self.root / "m" / f"m-v{number:06d}.yaml").write_bytes(b"")
        self.assertEqual(self.archive.version_numbers("m"), [1, 2])

    def test_link_loop(self) -> None:
        """
        A broken link is damage of its model or version only, and the error names no path.
        """
        self.system.disturbance = failing_where("open .*", errno.ELOOP)
        for error in (
            self.assertRaises(CorruptVersion, self.archive.load_version, "m", 2),
            self.assertRaises(CorruptModel, self.archive.load_model, "m"),
        ):
            self.assertEqual(error.reason, f"its .yaml: it cannot be read: {os.strerror(errno.ELOOP)}")
        (found,) = self.archive.load_versions("m", [2])
        assert isinstance(found, CorruptVersion), found
        self.assertEqual(found.reason, f"its .yaml: it cannot be read: {os.strerror(errno.ELOOP)}")
        self.assertEqual(list(self.system.descriptors.values()), [str(self.root), str(self.root / ".0" / "claim")])

    def test_batch(self) -> None:
        """
        In a batch, damage concerns its version alone.
        """
        (self.root / "m" / "m-v000001.yaml").write_bytes(b"{")
        damaged, whole = self.archive.load_versions("m", [1, 2])
        assert isinstance(damaged, CorruptVersion), damaged
        self.assertEqual((damaged.version_number, damaged.reason[:10]), (1, "its .yaml:"))
        self.assertEqual(whole, self.infos[2])


class UnreadTests(FilesystemCase):
    """
    A disk that cannot be read, temporarily or permanently: nothing is reported as damaged, missing or empty because of
    it.
    """

    def setUp(self) -> None:
        """
        Create a model with two versions, one in a folder with a hashed name, and leftover data of a crash.
        """
        super().setUp()
        for model_id in ("m", "." * 200):
            self.archive.save_model(ModelInfo(model_id, {"a": "b"}))
            for number in (1, 2):
                put(self.archive, model_id, number)
            self.archive.set_high_water_mark(model_id, 9)
        (self.root / "m" / "m-v000003.data").write_bytes(b"left")
        self.acts = {
            "load_model": lambda: self.archive.load_model("m"),
            "load_version": lambda: self.archive.load_version("m", 2),
            "data": lambda: data_of(self.archive, "m", 2),
            "reserved": lambda: self.archive.high_water_mark("m"),
            "numbers": lambda: self.archive.version_numbers("m"),
            "ids": lambda: sorted(self.archive.model_ids()),
        }

    def test_every_call_and_error(self) -> None:
        """
        If a kind of system call fails with any error, an act raises ``StorageUnavailable`` or has its usual result; no
        file is removed, and afterwards all is as before.
        """
        before = self.files()
        for number in PASSING:
            for name, act in self.acts.items():
                self.system.calls.clear()
                self.system.disturbance = failing_where(".*", number)
                self.assert_unavailable(act, number)
                self.system.disturbance = failing_from(number, 1)
                if name != "numbers":  # that one may fail to remove the leftover data
                    self.assert_unavailable(act, number)
                self.assertEqual(self.files(), before, name)
        self.system.disturbance = None
        self.assertEqual(self.acts["ids"](), ["." * 200, "m"])
        self.assertEqual(self.acts["reserved"](), 9)
        self.assertEqual(self.acts["numbers"](), [1, 2])
        self.assertEqual(self.acts["data"](), b"data")
        self.assertEqual(list(self.system.descriptors.values()), [str(self.root), str(self.root / ".0" / "claim")])

    def test_one_fault(self) -> None:
        """
        If any single system call fails, an act returns everything or raises ``StorageUnavailable``.
        """
        whole = {name: act() for name, act in self.acts.items()}
        for number in (errno.EIO, errno.ESTALE, errno.EACCES, errno.EMFILE):
            for name, result in whole.items():
                self.system.calls.clear()
                self.acts[name]()
                for position, call in enumerate(list(self.system.calls)):
                    self.system.disturbance = failing_at(number, position)
                    with contextlib.suppress(StorageUnavailable):
                        self.assertEqual(self.acts[name](), result, f"{name}: {call}")
                    self.system.disturbance = None

    def test_one_fault_at_the_start(self) -> None:
        """
        If any single call fails while the archive is opened, it does not open, or everything is there.
        """
        self.archive.close()
        self.system.calls.clear()
        self.archive.open()
        before = self.archive.identity()
        for position, call in enumerate(list(self.system.calls)):
            self.archive.close()
            self.system.disturbance = failing_at(errno.ESTALE, position)
            with contextlib.suppress(CannotStart):
                self.archive.open()
                self.system.disturbance = None
                self.assertEqual(self.acts["ids"](), ["." * 200, "m"], call)
                self.assertEqual(self.acts["numbers"](), [1, 2], call)
                self.assertEqual(self.archive.identity().archive_id, before.archive_id)

    def assert_unavailable(self, act: Callable[[], object], number: int) -> None:
        """
        Check the error of an act while the disk fails: it has the system's text, and no path.
        """
        error = self.assertRaises(StorageUnavailable, act)
        self.assertEqual(error.reason, os.strerror(number))
        self.assertNotIn(str(self.root), str(error))
        self.assertEqual(isinstance(error, TooManyOpenFiles), number in (errno.EMFILE, errno.ENFILE))

    def test_subjects(self) -> None:
        """
        The error names what could not be read.
        """
        self.system.disturbance = failing_where("(read|listdir) .*", errno.EIO)
        for name, subject in (
            ("load_model", "model 'm'"),
            ("load_version", "version 2 of model 'm'"),
            ("data", "version 2 of model 'm'"),
            ("numbers", "the versions of model 'm'"),
        ):
            self.assertEqual(self.assertRaises(StorageUnavailable, self.acts[name]).subject, subject)

    def test_leftover_stays_where_its_yaml_cannot_be_looked_for(self) -> None:
        """
        Data without a .yaml is removed only if the .yaml certainly does not exist.
        """
        self.system.disturbance = failing_where("lstat m/m-v000003.yaml", errno.ESTALE)
        self.assertEqual(self.acts["numbers"](), [1, 2])
        self.assertIn("m/m-v000003.data", self.files())
        self.system.disturbance = None
        self.assertEqual(self.acts["numbers"](), [1, 2])
        self.assertNotIn("m/m-v000003.data", self.files())


def _bits(content: bytes) -> Iterator[tuple[int, int]]:
    """
    Yield each bit of some bytes.
    """
    return ((number, bit) for number in range(len(content)) for bit in range(8))


class HighWaterMarkDamageTests(FilesystemCase):
    """
    A damaged high-water mark.
    """

    def test_guess(self) -> None:
        """
        A lost mark is replaced by a number that cannot have been used.
        """
        self.archive.save_model(ModelInfo("m"))
        put(self.archive, "m", 7)
        file = self.root / "m" / ".reserved"
        for garbage in (
            b"",
            b"-1\n",
            b"7 \n",
            b"7\n\n",
            b"0x7",
            b"9" * 10,
            b"9" * 100,
            b"\xff",
            b"\xd9\xa1",
            b"1" * 5000,
            b"7",
            b"9 crc32=%08x\n" % zlib.crc32(b"8"),
            b"8 crc32=\n",
            b"8 crc32=%08x" % zlib.crc32(b"8"),
        ):
            file.write_bytes(garbage)
            self.assertEqual(self.archive.high_water_mark("m"), 1_000_007)
        self.archive.set_high_water_mark("m", 8)
        self.assertEqual(self.archive.high_water_mark("m"), 8)
        self.system.disturbance = failing_where("open m/.reserved", errno.ELOOP)
        self.assertEqual(self.archive.high_water_mark("m"), 1_000_007)
        for number in PASSING:
            self.system.disturbance = failing_where("open m/.reserved", number)
            self.assertRaises(StorageUnavailable, self.archive.high_water_mark, "m")

    def test_any_bit(self) -> None:
        """
        If any bit of the file flips, or it is cut short or extended, no number is returned below those that may have
        been used.
        """
        self.archive.save_model(ModelInfo("m"))
        self.archive.set_high_water_mark("m", 900)
        file = self.root / "m" / ".reserved"
        written = file.read_bytes()
        flipped = [bytes([*written[:n], written[n] ^ 1 << bit, *written[n + 1 :]]) for n, bit in _bits(written)]
        for content in (*flipped, *(written[:end] for end in range(len(written))), written + b"0", written * 2):
            file.write_bytes(content)
            self.assertEqual(self.archive.high_water_mark("m"), 1_000_000, content)

    def test_number_alone(self) -> None:
        """
        A number without a checksum is accepted.
        """
        self.archive.save_model(ModelInfo("m"))
        (self.root / "m" / ".reserved").write_bytes(b"900\n")
        self.assertEqual(self.archive.high_water_mark("m"), 900)

    def test_highest(self) -> None:
        """
        The guess does not exceed the highest number of a version.
        """
        self.archive.save_model(ModelInfo("m"))
        put(self.archive, "m", MAX_VERSION_NUMBER - 1)
        (self.root / "m" / ".reserved").write_bytes(b"lost")
        self.assertEqual(self.archive.high_water_mark("m"), MAX_VERSION_NUMBER)
