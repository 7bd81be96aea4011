"""
Tests of ``search``, and of the filters and orders of ``versions`` and ``ls``.
"""

import json
from typing import Any

from tests.edge.test_cli_aliases import AliasCase
from tests.support.cli import invoke


class SearchCase(AliasCase):
    """
    A model with three versions, of which two have a metric.
    """

    def setUp(self) -> None:
        """
        Add metrics, a label and an alias.
        """
        super().setUp()
        for words in (
            ("metric", self.at(1), "return=180", "loss=0.5"),
            ("metric", self.at(3), "return=203.5"),
            ("label", self.at(3), "env=stairs"),
            ("alias", "set", self.at(1), "production"),
        ):
            self.output(*words)

    def objects(self, *arguments: str) -> list[Any]:
        """
        Run a command, and return the objects that it prints.
        """
        return [json.loads(line) for line in self.output(*arguments, "--json").splitlines()]

    def numbers(self, *arguments: str) -> list[int]:
        """
        Run a command, and return the numbers of the versions that it prints.
        """
        return [each["version_number"] for each in self.objects(*arguments)]


class SearchTests(SearchCase):
    """
    Versions that are found.
    """

    def test_filter(self) -> None:
        """
        Only versions that match are found, by number.
        """
        for text, expected in (
            ("metrics.return > 100", [1, 3]),
            ("metrics.return > 100 AND NOT archived", [3]),
            ("labels.env = stairs", [3]),
            ("aliases:production", [1]),
            ("metrics.return > 1000", []),
        ):
            self.assertEqual(self.numbers("search", self.model_id, "--filter", text), expected, text)

    def test_order(self) -> None:
        """
        Versions come in the order that is asked for, those without the metric last; --limit stops.
        """
        best = ("search", self.model_id, "--sort", "metrics.return desc")
        self.assertEqual(self.numbers(*best), [3, 1, 2])
        self.assertEqual(self.numbers(*best, "--limit", "1"), [3])
        self.assertEqual(self.numbers(*best, "--skip", "1", "--limit", "1"), [1])

    def test_count(self) -> None:
        """
        --count prints the number of matches alone.
        """
        counted = ("search", self.model_id, "--filter", "metrics.return:*", "--count")
        self.assertEqual(self.output(*counted), "2\n")
        self.assertEqual(self.objects(*counted), [{"count": 2}])
        self.assertEqual(self.output("search", self.model_id, "--count"), "3\n")
        self.assertIn("leave out --sort", self.refused(2, *counted, "--limit", "1"))

    def test_cells(self) -> None:
        """
        In a pipe a version is a line: number, size, age, kind, aliases, metrics, labels.
        """
        first, _, third = self.output("search", self.model_id).splitlines()
        self.assertRegex(first, r"^1\t1 byte\t\d+ (s|min)\tarchived\tproduction\tloss=0.5 return=180\t$")
        self.assertRegex(third, r"^3\t3 bytes\t\d+ (s|min)\ttransient\t\treturn=203.5\tenv=stairs$")

    def test_mistake(self) -> None:
        """
        A mistake is 1, and the line names the option and the column.
        """
        for name in ("search", "versions"):
            said = self.refused(1, name, self.model_id, "--filter", "archived metrics.return > 200")
            self.assertIn("--filter, column 10: expected AND, OR or the end", said)
            self.assertIn("--sort, column 1: ", self.refused(1, name, self.model_id, "--sort", "nothing"))
        self.assertIn("--filter, column 1: ", self.refused(1, "ls", "--filter", "nothing = 1"))

    def test_refused(self) -> None:
        """
        A version in place of a model is 2, and an unknown model 1.
        """
        self.assertIn("--filter 'number >= 3'", self.refused(2, "search", self.at(1)))
        self.assertIn("there is no model nobody", self.refused(1, "search", "nobody"))


class ListTests(SearchCase):
    """
    Lists with filters and orders.
    """

    def test_versions(self) -> None:
        """
        ``versions`` filters and sorts, from a number on if one is given.
        """
        for arguments, expected in (
            ((self.model_id, "--sort", "number desc"), [3, 2, 1]),
            ((self.at(2), "--sort", "number desc"), [3, 2]),
            ((self.at(2), "--filter", "metrics.return > 0"), [3]),
            ((self.at("production"),), [1, 2, 3]),
            ((self.at(-2),), [2, 3]),
        ):
            self.assertEqual(self.numbers("versions", *arguments), expected, arguments)

    def test_aliases_of_versions(self) -> None:
        """
        The last column of ``versions`` has the aliases.
        """
        first, second, _ = self.output("versions", self.model_id).splitlines()
        self.assertTrue(first.endswith("\tproduction"), first)
        self.assertTrue(second.endswith("\t"), second)

    def test_models(self) -> None:
        """
        ``ls`` with a filter or an order adds what is known of the versions.
        """
        chosen = ("--filter", f'model_id = "{self.model_id}"')
        line = self.output("ls", *chosen)
        self.assertEqual(line, f"{self.model_id}\t3\t3\t1\tproduction=1\t\n")
        (found,) = self.objects("ls", *chosen)
        counts = {"latest_number": 3, "versions": 3, "archived": 1, "aliases": {"production": 1}}
        self.assertEqual(found, {"model_id": self.model_id, "user_data": {}, **counts})

    def test_order_of_models(self) -> None:
        """
        ``ls`` sorts; a model without versions has no latest number.
        """
        empty = f"{self.model_id}-empty"
        self.client.save_model(empty)
        chosen = ("ls", "--filter", f'model_id = "{self.model_id}*"', "--sort", "version_count")
        found = self.objects(*chosen)
        self.assertEqual(
            [(each["model_id"], each["latest_number"]) for each in found], [(empty, None), (self.model_id, 3)]
        )

    def test_not_combined(self) -> None:
        """
        Filters of ``ls`` with names of models or --long are 2.
        """
        for other in (self.model_id, "--long"):
            self.assertIn("cannot be combined", self.refused(2, "ls", "--sort", "model_id", other))

    def test_plain_list(self) -> None:
        """
        Without a filter or an order ``ls`` prints ids and metadata only.
        """
        done = invoke(self.daemon.address, "ls", self.model_id)
        self.assertEqual(done.stdout, f"{self.model_id}\t\n")
