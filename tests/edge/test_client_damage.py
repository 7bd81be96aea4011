"""
Tests of what a client and the command line can do about damaged versions, labels and metrics.
"""

from tests.support.archive_files import write_model, write_version
from tests.support.cli import invoke
from tests.support.edge import SharedEdgeTestCase
from twisted_registry.client import BlockingClient, errors

DATA = b"data"


class DamageTests(SharedEdgeTestCase):
    """
    A model for each test: the data of versions 2 to 4 is missing, and the labels and metrics of version 1 are damaged.
    """

    def prepare(self) -> None:
        """
        Lay out the models, and the damage.
        """
        for name in ("client", "command", "annotations", "relabelled", "aliased"):
            folder = write_model(self.archive, name)
            for number in range(1, 6):
                data = write_version(folder, number, DATA)
                if 2 <= number <= 4:
                    data.unlink()
            (folder / ".annotations-000001").write_bytes(b"damaged")

    def setUp(self) -> None:
        """
        Make a client.
        """
        super().setUp()
        self.registry = BlockingClient(self.daemon.address, retry_seconds=0)
        self.addCleanup(self.registry.close)

    def numbers(self, model_id: str) -> list[int]:
        """
        Return the numbers of a model's versions; damaged ones are left out.
        """
        return [info.version_number for info in self.registry.versions(model_id)]

    def test_damaged_versions_are_deleted(self) -> None:
        """
        A client deletes a damaged version by number and by selector, and then there is no such version.
        """
        for reference, number in (("client@3", 3), ("client@-2", 4)):
            self.assertRaises(errors.CorruptVersion, self.registry.get, reference)
            self.registry.delete_version(reference)
            self.assertRaises(errors.UnknownVersion, self.registry.get, f"client@{number}")
        self.assertEqual(self.numbers("client"), [1, 5])
        self.assertEqual(self.registry.model_record("client").version_count, 3)

    def test_damaged_versions_are_removed(self) -> None:
        """
        So does ``rm``, which asks about a damaged version.
        """
        done = invoke(self.daemon.address, "rm", "--yes", "command@3")
        self.assertEqual((done.exit_code, done.stdout, done.stderr), (0, "deleted command@3\n", ""))
        self.assertRaises(errors.UnknownVersion, self.registry.get, "command@3")
        done = invoke(self.daemon.address, "info", "command@2")
        self.assertEqual(done.exit_code, 1)
        self.assertIn("'twisted-registry rm command@2'", done.stderr)

    def test_annotations_are_replaced(self) -> None:
        """
        Damaged labels and metrics are replaced, and only if all of them are.
        """
        self.assertRaises(errors.CorruptAnnotations, self.registry.annotate, "annotations@1", labels={"a": "b"})
        record = self.registry.annotate("annotations@1", labels={"a": "b"}, replace=True)
        self.assertEqual((record.labels, record.metrics), ({"a": "b"}, {}))
        self.assertEqual(self.registry.annotate("annotations@1", metrics={"c": 1}).labels, {"a": "b"})
        self.assertEqual(self.registry.retrieve("annotations@1"), DATA)

    def test_annotations_are_replaced_by_the_command(self) -> None:
        """
        The commands name the remedy, and have it.
        """
        for command, change in (("label", "a=b"), ("metric", "c=1")):
            done = invoke(self.daemon.address, command, "relabelled@1", change)
            self.assertEqual(done.exit_code, 1)
            self.assertIn("'twisted-registry label --replace relabelled@1 KEY=VALUE'", done.stderr)
        done = invoke(self.daemon.address, "label", "--replace", "relabelled@1", "a=b", "d=e")
        self.assertEqual((done.exit_code, done.stderr), (0, ""))
        done = invoke(self.daemon.address, "metric", "--replace", "relabelled@1", "c=1")
        self.assertEqual((done.exit_code, done.stderr), (0, ""))
        record = self.registry.get("relabelled@1")
        self.assertEqual((record.labels, record.metrics), ({}, {"c": 1.0}))

    def test_aliased(self) -> None:
        """
        A damaged version that an alias names is not deleted.
        """
        self.registry.set_alias("aliased@5", "production")
        self.assertRaises(errors.AliasedVersion, self.registry.delete_version, "aliased@production")
