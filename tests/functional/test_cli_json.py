"""
Tests of the promises of ``--json``, for every command that has it.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import click

from tests.support.archive_files import write_model, write_version
from tests.support.cli import invoke
from tests.support.edge import SharedEdgeTestCase
from twisted_registry.cli.group import command

INTEGERS = {"archived", "created_ns", "damaged", "models", "moved", "notes", "size_bytes", "version_number", "versions"}
"""Keys of whole numbers; one that is a flag or a map in another object is checked there."""

FREE = {"data_hash", "model_id", "path", "server", "user_data"}
"""Keys of texts, which may look like numbers."""

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{9}Z")
_USER_DATA = {"loss": "0.030", "epoch": "7", "a": "x"}


def commands(group: click.Group = command, before: Sequence[str] = ()) -> Iterator[tuple[str, click.Command]]:
    """
    Return the commands that have the option, with the words that run them.
    """
    context = click.Context(group)
    for name in group.list_commands(context):
        each = group.get_command(context, name)
        assert each is not None
        words = (*before, name)
        if isinstance(each, click.Group):
            yield from commands(each, words)
        elif any("--json" in option.opts for option in each.params):
            yield " ".join(words), each


class JsonTests(SharedEdgeTestCase):
    """
    Every command, on a model with two versions whose metadata looks like numbers.
    """

    more: ClassVar[Mapping[str, Sequence[str]]] = {
        "ls": ["--long"],
        "push": ["-u", "loss=0.030"],
        "rm": ["--yes"],
        "set": ["epoch=7"],
        "watch": ["--once"],
    }
    """The arguments of the commands, besides a model, a file, or the archive."""

    def setUp(self) -> None:
        """
        Make the model.
        """
        super().setUp()
        self.client.save_model(self.model_id, **_USER_DATA)
        for archived in (True, False):
            self.client.create(self.model_id, b"data", archived=archived, user_data=_USER_DATA)
        self.path = Path(self.mktemp()).absolute()
        self.path.write_bytes(b"data")

    def arguments(self, each: click.Command) -> Iterator[str]:
        """
        Return the arguments of a command.
        """
        for parameter in each.params:
            if isinstance(parameter, click.Argument) and (parameter.required or parameter.name == "models"):
                given = {"file": str(self.path), "directory": str(self.archive)}
                yield given.get(parameter.name or "", self.model_id)

    def objects(self, name: str, each: click.Command) -> list[Any]:
        """
        Run a command, and return the objects it prints.  Check that their keys are sorted.
        """

        def sorted_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            self.assertEqual([key for key, _ in pairs], sorted(key for key, _ in pairs), name)
            return dict(pairs)

        done = invoke(self.daemon.address, *name.split(), "--json", *self.arguments(each), *self.more.get(name, ()))
        self.assertTrue(done.stdout.isascii(), name)
        return [json.loads(line, object_pairs_hook=sorted_keys) for line in done.stdout.splitlines()]

    def check(self, key: str, value: Any) -> None:
        """
        Check that numbers are not strings, and that times are.
        """
        if isinstance(value, dict) and key not in FREE | {"versions"}:  # those of software may look like numbers
            for inner, each in value.items():
                self.check(inner, each)
        elif isinstance(value, str) and key not in FREE:
            self.assertIsNone(_NUMBER.fullmatch(value), f"{key}: {value!r}")
        if key in INTEGERS and not isinstance(value, dict | bool):
            self.assertIsInstance(value, int, key)
        if key == "created":
            self.assertRegex(value, _TIME)
        if key == "user_data":
            self.assertEqual({type(each) for each in value.values()} - {str}, set())

    def test_every_command(self) -> None:
        """
        Each line is an object with sorted keys and numeric numbers; metadata is exact text.
        """
        names = []
        for name, each in sorted(commands(), key=lambda found: found[0] == "rm"):  # that one at last
            names.append(name)
            for found in self.objects(name, each):
                self.assertIsInstance(found, dict, name)
                self.check("", found)
        self.assertLessEqual({"ls", "versions", "info", "push", "pull", "status", "archive verify"}, set(names))

    def test_raise_numbers(self) -> None:
        """
        The same is true for a command on an archive without a daemon.
        """
        self.archive = Path(self.mktemp()).absolute()
        write_version(write_model(self.archive, "m"), 1, b"data")
        (found,) = self.objects("archive raise-numbers", dict(commands())["archive raise-numbers"])
        self.check("", found)
        self.assertEqual(
            {key: type(found[key]) for key in ("model_id", "before", "after")},
            {"model_id": str, "before": int, "after": int},
        )

    def test_user_data(self) -> None:
        """
        Metadata that looks like a number stays as it was written.
        """
        for name in ("ls", "info", "versions", "watch", "pull"):
            (*_, last) = self.objects(name, command.commands[name])
            self.assertEqual(last["user_data"], _USER_DATA, name)

    def test_statuses(self) -> None:
        """
        Statuses that are numbers are JSON numbers.
        """
        (found,) = self.objects("status", command.commands["status"])
        self.assertIsInstance(found["statuses"]["subscribers"], int)
        self.assertIsInstance(found["statuses"]["overall_load"], int | float)
        self.assertIsInstance(found["versions"]["twisted-registry"], str)
