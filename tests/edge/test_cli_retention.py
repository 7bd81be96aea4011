"""
Tests of ``retention`` and ``prune``.
"""

import json
from typing import Any

from tests.edge.test_cli_aliases import AliasCase

NONE: dict[str, object] = {
    "keep_last": None,
    "keep_best": [],
    "keep_every": None,
    "keep_younger_than_seconds": None,
}


class RetentionCase(AliasCase):
    """
    A model with three versions.
    """

    def object(self, *arguments: str) -> Any:
        """
        Run a command that prints one object, and return it.
        """
        (line,) = self.output(*arguments, "--json").splitlines()
        return json.loads(line)

    def numbers(self) -> list[int]:
        """
        Return the numbers of the model's versions.
        """
        return [info.version_number for info in self.client.infos(self.model_id).version_infos]


class PolicyTests(RetentionCase):
    """
    Policies that are set and shown.
    """

    def test_model(self) -> None:
        """
        The policy of a model is shown as it was set, and can be removed.
        """
        rules = ("--keep-last", "10", "--keep-best", "return=3", "--keep-lowest", "loss=1", "--keep-every", "100")
        said = self.output("retention", "set", self.model_id, *rules, "--keep-younger-than", "36h")
        keeps = "the newest 10 + the 3 with the highest return + the 1 with the lowest loss + one of every 100 numbers"
        self.assertEqual(said, f"set for\tmodel {self.model_id}\nkeeps\t{keeps} + those younger than 36h\n")
        self.assertEqual(self.output("retention", "show", self.model_id), said)
        self.assertEqual(
            self.object("retention", "show", self.model_id),
            {
                "model_id": self.model_id,
                "prefix": None,
                "policy": {
                    "keep_last": 10,
                    "keep_best": [
                        {"metric": "return", "count": 3, "lowest": False},
                        {"metric": "loss", "count": 1, "lowest": True},
                    ],
                    "keep_every": 100,
                    "keep_younger_than_seconds": 129600.0,
                },
            },
        )
        self.assertIsNone(self.object("retention", "set", self.model_id, "--unset")["policy"])
        self.assertIn("there is no policy", self.output("retention", "show", self.model_id))

    def test_prefix(self) -> None:
        """
        The policy of a prefix applies to a model, unless the model has one, such as to keep all.
        """
        self.output("retention", "set", "--prefix", self.model_id[:-1], "--keep-last", "50")
        self.addCleanup(self.output, "retention", "set", "--prefix", self.model_id[:-1], "--unset")
        found = self.object("retention", "show", self.model_id)
        self.assertEqual((found["model_id"], found["prefix"]), (None, self.model_id[:-1]))
        self.assertEqual(found["policy"], {**NONE, "keep_last": 50})
        self.output("retention", "set", self.model_id, "--keep-all")
        found = self.object("retention", "show", self.model_id)
        self.assertEqual((found["model_id"], found["policy"]), (self.model_id, NONE))

    def test_unset(self) -> None:
        """
        Once a policy is removed, the one that applies then is printed.
        """
        short, long = self.model_id[:-2], self.model_id[:-1]
        for prefix, count in ((short, "60"), (long, "50")):
            self.output("retention", "set", "--prefix", prefix, "--keep-last", count)
            self.addCleanup(self.output, "retention", "set", "--prefix", prefix, "--unset")
        removed = "removed; the policy of models that begin with"
        for arguments, prefix, keeps in (((self.model_id,), long, 50), (("--prefix", long), short, 60)):
            said = self.output("retention", "set", *arguments, "--unset")
            self.assertEqual(said, f"{removed} {prefix} applies: keeps the newest {keeps}\n")
            found = self.object("retention", "set", *arguments, "--unset")
            expected = {"model_id": None, "prefix": prefix, "policy": {**NONE, "keep_last": keeps}}
            self.assertEqual(found, expected)
        none = "removed; no other policy applies: keeps all versions\n"
        self.assertEqual(self.output("retention", "set", "--prefix", short, "--unset"), none)
        self.assertEqual(self.output("retention", "set", self.model_id, "--unset"), none)

    def test_nobody_to_ask(self) -> None:
        """
        Without a terminal, a policy that deletes versions at once needs --yes, also if removing another makes it apply.
        """
        said = self.refused(2, "retention", "set", self.model_id, "--keep-last", "1")
        self.assertIn("the policy deletes 2 versions (3 bytes) in the background", said)
        self.assertIn("--yes", said)
        self.output("retention", "set", self.model_id, "--keep-all")
        self.assertIn(
            "up to 2 versions", self.refused(2, "retention", "set", "--prefix", self.model_id, "--keep-last", "1")
        )
        self.output("retention", "set", "--prefix", self.model_id, "--keep-last", "1", "--yes")
        self.addCleanup(self.output, "retention", "set", "--prefix", self.model_id, "--unset")
        said = self.refused(2, "retention", "set", self.model_id, "--unset")
        self.assertIn(f"without it, the policy of models that begin with {self.model_id} deletes 2 versions", said)
        self.assertEqual(self.object("retention", "show", self.model_id)["policy"], NONE)
        self.assertEqual(self.numbers(), [1, 2, 3])
        self.output("retention", "set", self.model_id, "--unset", "--yes")
        self.assertEqual(self.object("retention", "show", self.model_id)["prefix"], self.model_id)

    def test_not_understood(self) -> None:
        """
        A scope or a rule that is missing, doubled or malformed is 2.
        """
        for arguments in (
            (),
            (self.model_id,),
            ("--keep-last", "1"),
            (self.model_id, "--prefix", "x", "--keep-last", "1"),
            (self.model_id, "--keep-last", "1", "--unset"),
            (self.model_id, "--keep-all", "--unset"),
            (self.model_id, "--keep-last", "0"),
            (self.model_id, "--keep-best", "return"),
            (self.model_id, "--keep-best", "return=0"),
            (self.model_id, "--keep-younger-than", "7"),
            (self.model_id, "--keep-younger-than", "0d"),
            (self.at(1), "--keep-last", "1"),
        ):
            self.refused(2, "retention", "set", *arguments)
        self.refused(2, "retention", "show")

    def test_unknown(self) -> None:
        """
        A model that does not exist is 1.
        """
        self.assertIn("there is no model nobody", self.refused(1, "retention", "set", "nobody", "--keep-last", "1"))


class PruneTests(RetentionCase):
    """
    Versions that are pruned.
    """

    def test_dry_run(self) -> None:
        """
        A dry run lists what would be deleted, and deletes nothing.
        """
        said = self.output("prune", self.model_id, "--keep-last", "1", "--dry-run")
        self.assertEqual(said, f"{self.model_id}\t2\t3 bytes\t1-2\n")
        found = self.object("prune", self.model_id, "--keep-last", "1", "--dry-run")
        expected = {"model_id": self.model_id, "version_numbers": [1, 2], "size_bytes": 3, "deleted": False}
        self.assertEqual(found, expected)
        self.assertEqual(self.numbers(), [1, 2, 3])

    def test_pruned(self) -> None:
        """
        Versions that no rule keeps are deleted, except those that an alias names or the label protects.
        """
        self.client.create(self.model_id, bytes(4))
        self.output("alias", "set", self.at(1), "production")
        self.output("label", self.at(2), "pin=")
        found = self.object("prune", self.model_id, "--keep-last", "1", "--yes")
        expected = {"model_id": self.model_id, "version_numbers": [3], "size_bytes": 3, "deleted": True}
        self.assertEqual(found, expected)
        self.assertEqual(self.numbers(), [1, 2, 4])
        self.assertEqual(self.output("prune", self.model_id, "--keep-last", "1", "--yes"), "")

    def test_best(self) -> None:
        """
        The best versions by a metric are kept.
        """
        self.output("metric", self.at(1), "return=9")
        self.output("metric", self.at(2), "return=3")
        self.output("prune", self.model_id, "--keep-best", "return=1", "--yes")
        self.assertEqual(self.numbers(), [1, 3])

    def test_prefix(self) -> None:
        """
        A prefix selects models.
        """
        said = self.output("prune", "--prefix", self.model_id, "--keep-last", "2", "--dry-run")
        self.assertEqual(said, f"{self.model_id}\t1\t1 byte\t1\n")

    def test_nobody_to_ask(self) -> None:
        """
        Without a terminal, --yes and --dry-run: 2, and nothing is deleted.
        """
        self.assertIn("--yes", self.refused(2, "prune", self.model_id, "--keep-last", "1"))
        self.refused(2, "prune", "--keep-last", "1", "--yes")
        self.assertEqual(self.numbers(), [1, 2, 3])

    def test_without_a_policy(self) -> None:
        """
        Without rules and without a policy that is set, all versions are kept.
        """
        self.assertEqual(self.output("prune", self.model_id, "--yes"), "")
        self.assertEqual(self.numbers(), [1, 2, 3])
