"""
The archive on a file system: labels, metrics and retention policies.
"""

import errno
import zlib

from tests.support.damage import findings
from tests.support.faulty_system import failing_where
from tests.support.filesystem_case import FilesystemCase
from twisted_registry.domain.annotations import NO_ANNOTATIONS, Annotations
from twisted_registry.domain.errors import (
    CorruptAnnotations,
    CorruptRetention,
    InvalidRequest,
    RegistryError,
    StorageFailure,
    StorageUnavailable,
)
from twisted_registry.domain.models import ModelInfo
from twisted_registry.domain.retention import KeepBest, RetentionPolicy
from twisted_registry.storage.filesystem.annotations import format_annotations, parse_annotations
from twisted_registry.storage.filesystem.failures import Malformed
from twisted_registry.storage.filesystem.layout import version_files
from twisted_registry.storage.filesystem.retention import parse_policy, parse_prefixes
from twisted_registry.storage.filesystem.verify.findings import Kind
from twisted_registry.storage.filesystem.verify.quarantine import Quarantine
from twisted_registry.testing.archive_annotations import ANNOTATIONS, move
from twisted_registry.testing.archive_lifecycle import lifecycle_writer
from twisted_registry.testing.samples import finished, put, version_info


class AnnotationCase(FilesystemCase):
    """
    A model with two versions that have labels and metrics.
    """

    def setUp(self) -> None:
        """
        Create them.
        """
        super().setUp()
        self.archive.save_model(ModelInfo("m"))
        for number in (1, 2):
            put(self.archive, "m", number)
            self.archive.save_annotations("m", number, ANNOTATIONS)
        self.path = self.root / "m" / ".annotations-000001"

    def quarantine(self) -> None:
        """
        Move what is damaged to the quarantine, and check that nothing else is found.
        """
        self.archive.close()
        list(Quarantine(str(self.root)).move(findings(self.root)))
        self.assertEqual(findings(self.root), [])
        self.archive.open()


class DamageTests(AnnotationCase):
    """
    Damaged files.
    """

    def test_isolated(self) -> None:
        """
        Damage concerns the labels and metrics of one version, and nothing else of it; saving them repairs it.
        """
        content = self.path.read_bytes()
        for position in range(len(content)):
            changed = bytes([content[position] ^ 1])
            self.path.write_bytes(content[:position] + changed + content[position + 1 :])
            first, second = self.archive.load_annotations("m", [1, 2])
            self.assertIsInstance(first, CorruptAnnotations)
            self.assertEqual(second, ANNOTATIONS)
        self.assertEqual(self.archive.load_version("m", 1), version_info("m", 1, b"data"))
        (finding,) = findings(self.root)
        self.assertEqual((finding.kind, finding.version_number), (Kind.ANNOTATIONS, 1))
        self.archive.save_annotations("m", 1, ANNOTATIONS)
        self.assertEqual(self.archive.load_annotations("m", [1]), [ANNOTATIONS])

    def test_not_a_file(self) -> None:
        """
        A folder or a link is damage, and can be replaced.
        """
        for make in (self.path.mkdir, lambda: self.path.symlink_to("m.yaml"), lambda: self.path.symlink_to(self.path)):
            self.path.unlink()
            make()
            (found,) = self.archive.load_annotations("m", [1])
            self.assertIsInstance(found, CorruptAnnotations)
            self.archive.save_annotations("m", 1, ANNOTATIONS)
            self.assertEqual(self.archive.load_annotations("m", [1]), [ANNOTATIONS])

    def test_unreadable(self) -> None:
        """
        A disk that does not answer is not damage.
        """
        self.system.disturbance = failing_where(r"open m/\.annotations-000001", errno.EIO)
        self.assertRaises(StorageUnavailable, self.archive.load_annotations, "m", [1, 2])

    def test_quarantine(self) -> None:
        """
        Damaged labels and metrics are moved alone; those of a damaged version are moved with it.
        """
        self.path.write_bytes(b"\0")
        self.quarantine()
        self.assertEqual(self.archive.load_annotations("m", [1, 2]), [NO_ANNOTATIONS, ANNOTATIONS])
        (self.root / "m" / "m-v000002.data").unlink()
        self.quarantine()
        self.assertEqual(self.archive.version_numbers("m"), [1])
        self.assertFalse((self.root / "m" / ".annotations-000002").exists())

    def test_anything(self) -> None:
        """
        Any content that was not written for this purpose is damage.
        """
        for values in (b"1", b"[]", b"{}", b'{"labels":{},"metrics":[]}', b'{"labels":{"a":1},"metrics":{}}', b"["):
            content = b"%s crc32=%08x\n" % (values, zlib.crc32(values))
            self.assertRaises(Malformed, parse_annotations, content)
        for content in (b"", b"\n", b"{}", format_annotations(ANNOTATIONS)[:-1]):
            self.assertRaises(Malformed, parse_annotations, content)


class StrayTests(AnnotationCase):
    """
    Labels and metrics of a version that was never committed.
    """

    def setUp(self) -> None:
        """
        Leave them, as a crash before the commit does.
        """
        super().setUp()
        self.stray = self.root / "m" / ".annotations-000003"
        self.stray.write_bytes(format_annotations(Annotations({"of": "another"})))
        self.reopen()

    def test_removed(self) -> None:
        """
        They are removed when the model is first used.
        """
        self.assertEqual([finding.kind for finding in findings(self.root)], [Kind.LEFT_OVER])
        self.archive.version_numbers("m")
        self.assertFalse(self.stray.exists())
        self.assertEqual(self.archive.load_annotations("m", [1]), [ANNOTATIONS])

    def test_not_inherited(self) -> None:
        """
        As long as they cannot be removed, no version gets the number.
        """
        for pattern in ("fsync m", r"unlink m/\.annotations-.*"):
            self.reopen()
            self.system.disturbance = failing_where(pattern, errno.EIO)
            self.archive.version_numbers("m")
            writer = finished(self.archive, "m", b"data")
            self.assertRaises(StorageFailure, writer.commit, version_info("m", 3, b"data"))
            self.system.disturbance = None
        put(self.archive, "m", 3)
        self.assertEqual(self.archive.load_annotations("m", [3]), [NO_ANNOTATIONS])


class CostTests(AnnotationCase):
    """
    System calls that are not made.
    """

    def test_commits(self) -> None:
        """
        A commit with an empty set of extras makes the same calls as one without.
        """
        calls = []
        for number in (3, 4):
            writer = lifecycle_writer(self.archive, "m", b"data")
            if number == 4:
                writer.set_annotations(NO_ANNOTATIONS)
                writer.set_alias_moves([])
            self.system.calls.clear()
            writer.commit(version_info("m", number, b"data"))
            calls.append([call.replace(f"v00000{number}", "v") for call in self.system.calls])
        self.assertEqual(calls[0], calls[1])
        self.assertEqual([call for call in calls[0] if "/." in call and ".new-" not in call], [])

    def test_aliases(self) -> None:
        """
        A model without aliases costs one call.
        """
        self.system.calls.clear()
        self.archive.load_aliases("m")
        self.assertEqual(self.system.calls, ["lstat m/.aliases"])

    def test_names(self) -> None:
        """
        The existing registry ignores all these files, because none holds ``-v`` or ``.yaml``.
        """
        self.archive.append_alias_moves("m", [move(1, "prod", 0, 1)])
        self.archive.save_retention("m", RetentionPolicy())
        self.archive.delete_version("m", 2)
        (self.root / "m" / ".promoting-000003").write_bytes(b"")
        names = [path.name for path in (self.root / "m").iterdir()]
        hidden = [name for name in names if name.startswith(".")]
        self.assertEqual(len(hidden), 6)
        self.assertEqual([name for name in hidden if "-v" in name or ".yaml" in name], [])
        self.assertEqual(version_files("m", names).numbers, [1])


class RetentionTests(AnnotationCase):
    """
    Retention policies.
    """

    def test_damaged(self) -> None:
        """
        A damaged policy is neither none nor another one; saving repairs that of a model, a quarantine that of prefixes.
        """
        self.archive.save_retention("m", RetentionPolicy(keep_last=3))
        self.archive.save_retention_prefix("m", RetentionPolicy(keep_last=5))
        model, prefixes = self.root / "m" / ".retention", self.root / ".0" / "retention"
        for path in (model, prefixes):
            path.write_bytes(path.read_bytes().replace(b'"keep_last":', b'"keep_list":'))
        self.assertEqual([finding.kind for finding in findings(self.root)], [Kind.RETENTION] * 2)
        self.assertRaises(CorruptRetention, self.archive.load_retention, "m")
        self.assertRaises(CorruptRetention, self.archive.retention_prefixes)
        self.assertRaises(CorruptRetention, self.archive.save_retention_prefix, "n", RetentionPolicy())
        self.archive.save_retention("m", RetentionPolicy(keep_last=4))
        self.quarantine()
        self.assertEqual(self.archive.load_retention("m"), RetentionPolicy(keep_last=4))
        self.assertEqual(self.archive.retention_prefixes(), {})

    def test_too_large(self) -> None:
        """
        Policies that could not be read again are refused, and the others stay.
        """
        rule = KeepBest("\u00e9" * 64, 1)  # in ASCII, six times as long
        policy = RetentionPolicy(keep_best=(rule,) * 20)
        with self.assertRaises(InvalidRequest):
            for number in range(1000):
                self.archive.save_retention_prefix(str(number), policy)
        self.assertEqual(set(self.archive.retention_prefixes().values()), {policy})

    def test_unknown_rules(self) -> None:
        """
        A policy with a rule that this version does not know is damaged: what the rule keeps must not be deleted.
        """
        for values in (
            b'{"keep_last":1,"keep_best":[],"keep_every":0,"younger_than_seconds":0,"keep_some":1}',
            b'{"keep_last":-1,"keep_best":[],"keep_every":0,"younger_than_seconds":0}',
            b'{"keep_last":1,"keep_best":[{"metric":"a"}],"keep_every":0,"younger_than_seconds":0}',
            b"{}",
        ):
            for parse, content in ((parse_policy, values), (parse_prefixes, b'{"m":%s}' % values)):
                with self.assertRaises(Malformed):
                    parse(b"%s crc32=%08x\n" % (content, zlib.crc32(content)))

    def test_link(self) -> None:
        """
        A link in the place of a policy is not followed.
        """
        (self.root / "m" / ".retention").symlink_to("m.yaml")
        self.assertRaises(RegistryError, self.archive.load_retention, "m")
        self.archive.save_retention("m", None)
        self.assertIsNone(self.archive.load_retention("m"))
