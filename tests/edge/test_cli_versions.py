"""
Tests of the commands that change single versions: ``promote``, ``label``, ``metric`` and ``rm``.
"""

import json
from pathlib import Path
from typing import Any

from tests.edge.test_cli_aliases import AliasCase
from twisted_registry.cli.commands.metric import annotation_outcome
from twisted_registry.cli.commands.promote import archiving_outcome
from twisted_registry.cli.commands.rm import version_deletion_outcome
from twisted_registry.cli.server import Server
from twisted_registry.domain.references import Reference


class VersionCase(AliasCase):
    """
    A model with three transient versions.
    """

    def numbers(self) -> list[int]:
        """
        Return the numbers of the model's versions.
        """
        return [info.version_number for info in self.client.infos(self.model_id).version_infos]

    def object(self, *arguments: str) -> Any:
        """
        Run a command that prints one object, and return it.
        """
        (line,) = self.output(*arguments, "--json").splitlines()
        return json.loads(line)


class ReferenceTests(VersionCase):
    """
    Aliases in place of numbers.
    """

    def setUp(self) -> None:
        """
        Make an alias.
        """
        super().setUp()
        self.output("alias", "set", self.at(2), "production")

    def test_info(self) -> None:
        """
        ``info`` shows the version that an alias names, and the aliases of a model.
        """
        self.assertEqual(self.object("info", self.at("production"))["version_number"], 2)
        self.assertIn("aliases\tproduction\n", self.output("info", self.at(2)))
        self.assertEqual(self.object("info", self.model_id)["aliases"], {"production": 2})
        self.assertIn("alias production\t2\n", self.output("info", self.model_id))

    def test_pull(self) -> None:
        """
        ``pull`` retrieves the version that an alias names.
        """
        path = Path(self.mktemp())
        self.assertEqual(self.output("pull", self.at("production"), str(path)), f"{self.at(2)}  2 bytes  archived\n")
        self.assertEqual(path.read_bytes(), bytes(2))

    def test_unknown(self) -> None:
        """
        An alias that does not exist is 1, and the line names the command that lists the others.
        """
        for arguments in (("info",), ("promote",), ("label", "a=b"), ("metric", "a=1")):
            name, *rest = arguments
            said = self.refused(1, name, self.at("canary"), *rest)
            self.assertIn(f"'twisted-registry alias ls {self.model_id}'", said)


class PromoteTests(VersionCase):
    """
    Versions that are archived.
    """

    def test_archived(self) -> None:
        """
        A transient version is archived under its number, once or again.
        """
        for _ in range(2):
            self.assertEqual(self.output("promote", self.at(2)), f"{self.at(2)}  2 bytes  archived\n")
        self.assertEqual(
            [info.archived for info in self.client.infos(self.model_id).version_infos], [False, True, False]
        )
        self.assertTrue(self.object("promote", self.model_id)["archived"])

    def test_copied(self) -> None:
        """
        A version is copied into another model with its data, metadata, labels and metrics, and gets aliases there.
        """
        other = f"{self.model_id}-other"
        self.client.save_model(other)
        self.output("metric", self.at(2), "return=3")
        found = self.object("promote", self.at(2), other, "--alias", "production", "--alias", "best", "--reason", "ok")
        self.assertEqual((found["model_id"], found["version_number"], found["archived"]), (other, 1, True))
        self.assertEqual((found["aliases"], found["metrics"]), (["best", "production"], {"return": 3.0}))
        self.assertEqual(self.client.data(other, 1), bytes(2))
        self.assertIn("\tok\n", self.output("alias", "log", f"{other}@production"))
        said = self.output("promote", self.at(3), other, "--transient")
        self.assertEqual(said, f"{other}@2  3 bytes  transient\n")
        self.assertEqual(self.numbers(), [1, 2, 3])

    def test_copied_to_nowhere(self) -> None:
        """
        A copy into a model that does not exist is 1.
        """
        self.assertIn("there is no model nobody", self.refused(1, "promote", self.at(2), "nobody"))

    def test_options_of_a_copy(self) -> None:
        """
        Options of a copy without a model to copy to are 2, and so is a transient copy with an alias.
        """
        for option in (("--transient",), ("--alias", "production"), ("--reason", "x")):
            self.assertIn("need TO_MODEL", self.refused(2, "promote", self.at(1), *option))
        said = self.refused(2, "promote", self.at(1), "other", "--transient", "--alias", "production")
        self.assertIn("cannot be combined", said)

    def test_outcome(self) -> None:
        """
        After an interruption a line says whether the version was archived, as far as the registry shows it.
        """
        server, second = Server(self.daemon.address), Reference(self.model_id, 2)
        self.assertIn("it is not known whether", archiving_outcome(server, second))
        self.output("promote", self.at(2))
        self.assertEqual(archiving_outcome(server, second), f"{self.at(2)} was archived")


class AnnotationTests(VersionCase):
    """
    Labels and metrics.
    """

    def test_labels(self) -> None:
        """
        Labels are set and removed, and the others stay; the line shows all of them.
        """
        said = self.output("label", self.at(1), "env=stairs", "note=two words", "pin=")
        self.assertEqual(said, f"{self.at(1)}  env=stairs note='two words' pin=\n")
        self.assertEqual(
            self.output("label", self.at(1), "pin-", "env=a=b-"), f"{self.at(1)}  env='a=b-' note='two words'\n"
        )
        self.assertEqual(self.output("label", self.at(1), "env-", "note-", "missing-"), f"{self.at(1)}\n")

    def test_metrics(self) -> None:
        """
        Metrics are set and removed as numbers, and the others stay.
        """
        self.output("metric", self.at(1), "return=203.5", "loss=1e-3", "steps=7")
        said = self.output("metric", self.at(1), "loss-", "diverged=inf")
        self.assertEqual(said, f"{self.at(1)}  diverged=Infinity return=203.5 steps=7\n")
        self.assertEqual(
            self.object("metric", self.at(1), "steps-")["metrics"], {"diverged": "Infinity", "return": 203.5}
        )
        self.assertIn("metric return\t203.5\n", self.output("info", self.at(1)))

    def test_not_understood(self) -> None:
        """
        An argument that is neither a pair nor a removal is 2, and so is a metric that is not a number.
        """
        for change in ("a", "=b", "-", "a=nan", "a=", "a=1_000", "a=0x1", "a=ten"):
            self.assertIn(repr(change), self.refused(2, "metric", self.at(1), "--", change))
        for change in ("a", "=b", "-"):
            self.assertIn(repr(change), self.refused(2, "label", self.at(1), "--", change))
        self.assertIn("'a' is neither KEY=VALUE nor KEY-", self.refused(2, "label", self.at(1), "a"))
        self.assertIn("'a' is neither NAME=NUMBER nor NAME-", self.refused(2, "metric", self.at(1), "a"))
        self.assertIn("Missing argument", self.refused(2, "label", self.at(1)))

    def test_too_large(self) -> None:
        """
        A metric that no number of 64 bits comes near to is 2, and does not become Infinity.
        """
        for number in ("1e400", "-1e400", "9" * 400):
            self.assertIn("is too large", self.refused(2, "metric", self.at(1), "--", f"z={number}"))

    def test_refused(self) -> None:
        """
        A refusal of the registry is 1, with its reason.
        """
        said = self.refused(1, "label", self.at(1), f"a={'x' * 5000}")
        self.assertIn("at most 4096 are allowed", said)

    def test_outcome(self) -> None:
        """
        After an interruption a line says whether the version was changed, as far as the registry shows it.
        """
        server, first = Server(self.daemon.address), Reference(self.model_id, 1)
        self.assertIn("it is not known whether", annotation_outcome(server, first, {"return": 1.0}, ["loss"]))
        self.output("metric", self.at(1), "return=1", "loss=2")
        self.assertIn("it is not known whether", annotation_outcome(server, first, {"return": 1.0}, ["loss"]))
        self.output("metric", self.at(1), "loss-")
        said = annotation_outcome(server, first, {"return": 1.0}, ["loss"])
        self.assertEqual(said, f"{self.at(1)} was changed")


class RemoveVersionTests(VersionCase):
    """
    Versions that are deleted.
    """

    def test_one(self) -> None:
        """
        One version is deleted, and the others stay.
        """
        self.assertEqual(self.output("rm", "--yes", self.at(2)), f"deleted {self.at(2)}\n")
        self.assertEqual(self.numbers(), [1, 3])
        self.assertEqual(
            self.object("rm", "-y", self.at("latest")),
            {"model_id": self.model_id, "version_number": 3, "deleted": True},
        )
        self.assertEqual(self.numbers(), [1])

    def test_missing(self) -> None:
        """
        A version that does not exist is 1.
        """
        self.assertIn("has no version 7", self.refused(1, "rm", "--yes", self.at(7)))

    def test_aliased(self) -> None:
        """
        A version with an alias is kept, and so is one that is named by an alias; both lines say what to do.
        """
        self.output("alias", "set", self.at(2), "production")
        said = self.refused(1, "rm", "--yes", self.at(2))
        self.assertIn("because the alias production names it; move it with 'twisted-registry alias set'", said)
        said = self.refused(2, "rm", "--yes", self.at("production"))
        self.assertIn(f"'twisted-registry alias rm {self.at('production')}' removes it", said)
        self.assertEqual(self.numbers(), [1, 2, 3])

    def test_nobody_to_ask(self) -> None:
        """
        Without a terminal and without --yes: 2, and the version is kept.
        """
        self.assertIn("--yes", self.refused(2, "rm", self.at(2)))
        self.assertEqual(self.numbers(), [1, 2, 3])

    def test_outcome(self) -> None:
        """
        After an interruption a line says whether the version was deleted, as far as the registry shows it.
        """
        server, second = Server(self.daemon.address), Reference(self.model_id, 2)
        self.assertIn("it is not known whether", version_deletion_outcome(server, second))
        self.output("rm", "--yes", self.at(2))
        self.assertEqual(version_deletion_outcome(server, second), f"{self.at(2)} was deleted")
