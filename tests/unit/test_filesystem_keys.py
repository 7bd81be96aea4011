"""
The archive on a file system: idempotency keys.
"""

import errno
import re

from zope.interface.verify import verifyObject

from tests.support.damage import findings
from tests.support.faulty_system import Disturbance
from tests.support.filesystem_case import FilesystemCase
from twisted_registry.contracts.idempotency import IKeyedArchive, IKeyedArchiveWriter, StoredKey
from twisted_registry.domain.errors import NumberTaken, StorageFailure, UnknownModel
from twisted_registry.domain.idempotency import key_sha256, version_facts
from twisted_registry.domain.models import ModelInfo, VersionInfo
from twisted_registry.storage.filesystem.idempotency import key_file_name, parse_key_file_name
from twisted_registry.storage.filesystem.verify.findings import Kind
from twisted_registry.testing.samples import finished, version_info

KEY = key_sha256("a key")
SECONDS = 1_700_000_000
DATA = b"data"


def stored_key(info: VersionInfo, key: str = KEY, seconds: int = SECONDS) -> StoredKey:
    """
    Return a key as it is stored with a version.
    """
    return StoredKey(key, info.version_number, seconds, version_facts(info))


class KeyFileTests(FilesystemCase):
    """
    A key is an empty file beside its version.
    """

    def setUp(self) -> None:
        """
        Make a model.
        """
        super().setUp()
        self.archive.save_model(ModelInfo("m"))

    def put(self, number: int, key: str = KEY) -> VersionInfo:
        """
        Create a version with a key.
        """
        writer = finished(self.archive, "m", DATA)
        IKeyedArchiveWriter(writer).set_key(key, SECONDS)
        info = version_info("m", number, DATA)
        writer.commit(info)
        return info

    def test_provides_the_interfaces(self) -> None:
        """
        The archive and its writers can store keys.
        """
        verifyObject(IKeyedArchive, self.archive)
        verifyObject(IKeyedArchiveWriter, self.archive.create_version("m"))

    def test_survives_a_restart(self) -> None:
        """
        Keys are found again, each with its version; versions without a key have none.
        """
        expected = [stored_key(self.put(1)), stored_key(self.put(2, key_sha256("another")), key_sha256("another"))]
        finished(self.archive, "m", DATA).commit(version_info("m", 3, DATA))
        self.reopen()
        self.assertEqual(sorted(self.archive.stored_keys("m"), key=lambda key: key.version_number), expected)
        self.assertEqual(self.archive.version_numbers("m"), [1, 2, 3])

    def test_is_durable_before_its_version(self) -> None:
        """
        The folder is synced after the key got its name and before the version's .yaml does, with no sync more than
        without a key.
        """
        self.system.calls.clear()
        finished(self.archive, "m", DATA).commit(version_info("m", 1, DATA))
        syncs = [call for call in self.system.calls if call.startswith("fsync ")]
        self.system.calls.clear()
        self.put(2)
        calls = self.system.calls
        self.assertEqual([call for call in calls if call.startswith("fsync ")], syncs)
        (created,) = (position for position, call in enumerate(calls) if call.startswith("create m/.key-"))
        (placed,) = (position for position, call in enumerate(calls) if call.endswith(" m/m-v000002.yaml"))
        self.assertIn("fsync m", calls[created:placed])

    def test_failed_commit_leaves_no_key(self) -> None:
        """
        A version that cannot be committed has no key afterwards.
        """
        for call in ("create m/.key-.*", "write m/.new-.*", "fsync m", "rename_noreplace .*yaml"):
            writer = finished(self.archive, "m", DATA)
            IKeyedArchiveWriter(writer).set_key(KEY, SECONDS)
            self.system.disturbance = self.failing(call)
            self.assertRaises(StorageFailure, writer.commit, version_info("m", 1, DATA))
            self.system.disturbance = None
            self.assertEqual(self.archive.stored_keys("m"), [], call)

    def failing(self, pattern: str) -> Disturbance:
        """
        Return a disturbance that fails the calls that match a pattern.
        """

        def disturb(call: str) -> None:
            if re.fullmatch(pattern, call):
                raise OSError(errno.EIO, "I/O error")

        return disturb

    def test_taken_number(self) -> None:
        """
        If others have put a version there, the key goes to the number that the version gets in the end.
        """
        self.put(1)
        writer = finished(self.archive, "m", DATA)
        IKeyedArchiveWriter(writer).set_key(key_sha256("another"), SECONDS)
        self.assertRaises(NumberTaken, writer.commit, version_info("m", 1, DATA))
        writer.commit(version_info("m", 2, DATA))
        numbers = {key.key_sha256: key.version_number for key in self.archive.stored_keys("m")}
        self.assertEqual(numbers, {KEY: 1, key_sha256("another"): 2})

    def test_removal(self) -> None:
        """
        Keys are removed one by one, or with their model; a removal never fails.
        """
        first, second = stored_key(self.put(1)), stored_key(self.put(2))
        self.archive.remove_keys("m", [first, first])
        self.assertEqual(self.archive.stored_keys("m"), [second])
        self.archive.delete_model("m")
        self.archive.remove_keys("m", [second])
        self.assertRaises(UnknownModel, self.archive.stored_keys, "m")
        self.archive.save_model(ModelInfo("m"))
        self.assertEqual(self.archive.stored_keys("m"), [])

    def test_verified(self) -> None:
        """
        A verification does not take keys for foreign files, whether or not their versions exist.
        """
        self.put(1)
        for path in (self.root / "m").glob("m-v000001.*"):
            path.unlink()
        self.put(2)
        self.assertEqual(findings(self.root), [])

    def put_by_hand(self) -> dict[str, StoredKey]:
        """
        Put a link, a directory, an unreadable file and a huge one into a model's folder, all with names of keys.
        """
        keys = {
            kind: stored_key(version_info("m", number, DATA), key_sha256(kind))
            for number, kind in enumerate(("link", "directory", "unreadable", "huge"), 2)
        }
        paths = {kind: self.root / "m" / key_file_name(key) for kind, key in keys.items()}
        paths["link"].symlink_to("/dev/zero")
        paths["directory"].mkdir()
        paths["unreadable"].touch(0)
        with paths["huge"].open("w") as file:
            file.truncate(2**40)
        return keys

    def test_put_by_hand(self) -> None:
        """
        Only the names of keys count: nothing that has one is opened, and it can be removed.
        """
        self.put(1)
        keys = self.put_by_hand()
        self.system.calls.clear()
        stored = {key.key_sha256: key for key in self.archive.stored_keys("m")}
        self.assertEqual([stored[key.key_sha256] for key in keys.values()], list(keys.values()))
        self.assertEqual([call for call in self.system.calls if ".key-" in call], [])
        self.archive.remove_keys("m", list(keys.values()))
        self.assertEqual([key.key_sha256 for key in self.archive.stored_keys("m")], [KEY])

    def test_put_by_hand_and_verified(self) -> None:
        """
        A verification reports keys that are not empty files, without opening them.
        """
        self.put(1)
        keys = self.put_by_hand()
        found = findings(self.root)
        self.assertEqual({finding.kind for finding in found}, {Kind.FOREIGN})
        names = [f"m/{key_file_name(keys[kind])}" for kind in ("link", "directory", "huge")]
        self.assertEqual(sorted(finding.path for finding in found), sorted(names))

    def test_names(self) -> None:
        """
        The name of a key's file is read as it was written, and no other name is; neither contains what the existing
        server takes for a version.
        """
        key = stored_key(version_info("m", 2**31 - 1, DATA))
        name = key_file_name(key)
        self.assertEqual(parse_key_file_name(name), key)
        self.assertLessEqual(len(name), 255)
        self.assertNotRegex(name, r"-v|\.yaml")
        for other in (name[1:], f"{name}0", name.replace("-2147483647-", "-02147483647-"), ".key-", "m.yaml"):
            self.assertIsNone(parse_key_file_name(other))
