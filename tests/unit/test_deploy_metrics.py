"""
Tests of the alert rules and the board: what they ask for exists, and nothing is missing.
"""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import yaml
from twisted.trial.unittest import SynchronousTestCase

from tests.support.exposition import Samples
from twisted_registry.cli.group import command as root
from twisted_registry.observability import metrics
from twisted_registry.observability.metrics import Metric
from twisted_registry.observability.server_metrics import ServerMetrics

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "alerts.yml"
CONFIGURATION = ROOT / "deploy" / "prometheus" / "prometheus.yml"
BOARD = ROOT / "deploy" / "grafana" / "twisted-registry.json"
GUIDE = ROOT / "docs" / "guides" / "alerts.md"

NOT_SHOWN: set[str] = set()
"""The metrics that are deliberately neither on the board nor in an alert."""

_OTHER_LABELS = {"instance", "job", "le"}


def alerts() -> list[dict[str, Any]]:
    """
    Return the alert rules.
    """
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    """
    Return the panels of the board that show something.
    """
    return [panel for panel in json.loads(BOARD.read_text())["panels"] if panel["type"] != "row"]


def runbooks() -> list[tuple[str, str]]:
    """
    Return the sections of the guide, each with its title.
    """
    return re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", GUIDE.read_text(), re.DOTALL | re.MULTILINE)


def parsed(line: str) -> None:
    """
    Parse a command of the guide, without running it.
    """
    command: click.Command = root
    context, words = click.Context(root), shlex.split(line)[1:]
    while isinstance(command, click.Group):
        name = words.pop(0)
        found = command.get_command(context, name)
        assert found is not None, line
        command = found
    command.make_context(command.name, [word.replace("$TWISTED_REGISTRY_SERVER", "host:1") for word in words])


def expressions() -> Iterator[str]:
    """
    Yield the expressions of all rules and panels.
    """
    yield from (rule["expr"] for rule in alerts())
    yield from (target["expr"] for panel in panels() for target in panel["targets"])


def declared() -> dict[str, Metric]:
    """
    Return the metrics by the names of their samples.
    """
    found = {metric.name: metric for metric in metrics.ALL if metric.kind != "histogram"}
    for metric in metrics.ALL:
        if metric.kind == "histogram":
            found.update({f"{metric.name}_{part}": metric for part in ("bucket", "count", "sum")})
    return found


class ExpressionTests(SynchronousTestCase):
    """
    The expressions of the rules and of the board.
    """

    def test_names(self) -> None:
        """
        Each name in an expression is a sample of the registry, or of the process.
        """
        of_process = set(Samples(ServerMetrics().render("application/openmetrics-text")[1].decode()).names())
        for expression in expressions():
            names = set(re.findall(r"\b(?:twisted_registry|process|python)_[a-z_]+\b(?!\.)", expression))
            self.assertEqual(names - set(declared()) - of_process, set(), expression)
            self.assertTrue(names or expression.startswith("up{"), expression)

    def test_labels(self) -> None:
        """
        Each label that an expression selects or groups by is one of its metric.
        """
        for expression in expressions():
            names = re.findall(r"\btwisted_registry_[a-z_]+\b", expression)
            known = {label for name in names for label in declared()[name].labels} | _OTHER_LABELS
            selected = set(re.findall(r"[{,]\s*(\w+)\s*(?:=|!)", expression))
            grouped = {word for words in re.findall(r"\bby \(([^)]*)\)", expression) for word in words.split(", ")}
            self.assertEqual((selected | grouped) - known, set(), expression)

    def test_completeness(self) -> None:
        """
        Each metric is on the board or in an alert, unless it is listed here.
        """
        texts = "\n".join(expressions())
        shown = {metric.name for name, metric in declared().items() if re.search(rf"\b{name}\b", texts)}
        self.assertEqual({metric.name for metric in metrics.ALL} - shown, NOT_SHOWN)


class RuleTests(SynchronousTestCase):
    """
    The alert rules.
    """

    def test_alerts(self) -> None:
        """
        Each alert has a name, a severity, a summary, and a section of the guide that its annotation names.
        """
        names = [rule["alert"] for rule in alerts()]
        self.assertEqual(len(names), len(set(names)))
        for rule in alerts():
            self.assertIn(rule["labels"]["severity"], ("critical", "warning"))
            self.assertIn("$labels.instance", rule["annotations"]["summary"])
            self.assertEqual(rule["annotations"]["runbook"], f"docs/guides/alerts.md#{rule['alert'].lower()}")
        self.assertEqual([title for title, _ in runbooks()], names)

    def test_runbooks(self) -> None:
        """
        Each section of the guide says where to look first and when the alert is over, and its commands exist.
        """
        for title, text in runbooks():
            self.assertIn("- **First look.** ", text, title)
            self.assertIn("- **Over** ", text, title)
        lines = re.findall(r"^ *(twisted-registry .*)$|`(twisted-registry [^`]*)`", GUIDE.read_text(), re.MULTILINE)
        self.assertGreater(len(lines), 8)
        for line in (block or inline for block, inline in lines):
            parsed(line)

    def test_configuration(self) -> None:
        """
        The configuration has the job that the rules name, and reads them.
        """
        configuration = yaml.safe_load(CONFIGURATION.read_text())
        self.assertEqual([job["job_name"] for job in configuration["scrape_configs"]], ["twisted-registry"])
        self.assertEqual(configuration["rule_files"], [RULES.name])


class BoardTests(SynchronousTestCase):
    """
    The board.
    """

    def test_layout(self) -> None:
        """
        No two panels overlap, and each has its own number and a title.
        """
        everything = json.loads(BOARD.read_text())["panels"]
        self.assertEqual(len({panel["id"] for panel in everything}), len(everything))
        taken: set[tuple[int, int]] = set()
        for panel in everything:
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24, panel["title"])
            cells = {
                (place["x"] + across, place["y"] + down) for across in range(place["w"]) for down in range(place["h"])
            }
            self.assertEqual(cells & taken, set(), panel["title"])
            taken |= cells

    def test_sources(self) -> None:
        """
        Each panel asks the source that the reader has chosen, about the registries chosen.
        """
        for panel in panels():
            for target in panel["targets"]:
                self.assertEqual(target["datasource"], {"type": "prometheus", "uid": "${source}"})
                self.assertIn('instance=~"$instance"', target["expr"])
