"""
Tests of the promises of ``--json``, for every command that has it.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from tests.support.archive_files import write_model, write_version
from tests.support.cli import invoke
from tests.support.edge import SharedEdgeTestCase
from twisted_registry.cli.group import command

FREE = {"actor", "alias", "aliases", "cursor", "data_hash", "labels", "model_id", "path", "prefix", "reason", "server"}
"""Keys of texts, which may look like numbers; ``user_data`` is another one."""

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{9}Z")
_USER_DATA = {"loss": "0.030", "epoch": "7", "a": "x"}

Shape = Mapping[str, Any]
"""Keys of an object, with the types of their values."""

MODEL: Shape = {"model_id": str, "user_data": dict}
VERSION: Shape = {
    "model_id": str,
    "version_number": int,
    "created": str,
    "created_ns": int,
    "archived": bool,
    "data_hash": str,
    "size_bytes": int,
    "user_data": dict,
}
RECORD: Shape = {**VERSION, "labels": dict, "metrics": dict, "aliases": list, "created_by": str | None}
MOVE: Shape = {
    "model_id": str,
    "alias": str,
    "from_number": int | None,
    "to_number": int | None,
    "moved": str,
    "moved_ns": int,
    "actor": str | None,
    "reason": str | None,
    "sequence": int,
}

RETENTION: Shape = {"model_id": str | None, "prefix": str | None, "policy": dict | None}
PRUNED: Shape = {"model_id": str, "version_numbers": list, "size_bytes": int, "deleted": bool}

LINES: Sequence[tuple[str, str, Shape]] = (
    ("ls", "{m}", MODEL),
    ("ls", "--long {m}", {**MODEL, "latest": dict}),
    ("ls", "--sort model_id", {**MODEL, "latest_number": int, "versions": int, "archived": int, "aliases": dict}),
    ("versions", "{m}", RECORD),
    ("search", "{m} --filter number>0", RECORD),
    ("info", "{m}@2", RECORD),
    ("info", "{m}", {**MODEL, "versions": int, "archived": int, "size_bytes": int, "aliases": dict, "latest": dict}),
    ("push", "{m} {file} -u loss=0.030", VERSION),
    ("pull", "{m} {file}", VERSION),
    ("watch", "{m} --once", VERSION),
    ("set", "{m} epoch=7", MODEL),
    ("label", "{m}@1 env=7", RECORD),
    ("metric", "{m}@1 return=7 loss=inf", RECORD),
    ("promote", "{m}@2", RECORD),
    ("alias set", "{m}@1 production", MOVE),
    ("alias set", "{m}@2 production --reason 7", MOVE),
    ("rollback", "{m}@production", MOVE),
    ("alias ls", "{m}", MOVE),
    ("alias log", "{m}@production", MOVE),
    ("alias rm", "{m}@production", {"model_id": str, "alias": str, "deleted": bool}),
    ("retention set", "{m} --keep-last 5 --keep-best return=1", RETENTION),
    ("retention show", "{m}", RETENTION),
    ("prune", "{m} --keep-last 1 --dry-run", PRUNED),
    ("status", "", {"server": str, "serving": bool, "versions": dict, "statuses": dict}),
    ("whoami", "", {"caller": str, "token_id": str | None, "ends": str | None}),
    ("rm", "--yes {m}@2", {"model_id": str, "version_number": int, "deleted": bool}),
    ("rm", "--yes {m}", {"model_id": str, "deleted": bool}),
)
"""
Commands in the order in which they are run, their arguments, and what every object that they print has.  A key is added
here when a command gets one; none is removed and no type is changed, because programs rely on them.
"""

_ARCHIVE = {f"archive {name}" for name in ("backup", "raise-numbers", "restore", "verify")}
_TOKENS = {f"token {name}" for name in ("create", "ls", "revoke", "rotate")}
ELSEWHERE = {"events", "followers", "audit verify", *_ARCHIVE, *_TOKENS}
"""Commands that other tests run: one does not end, one needs a stream, and the others take no registry."""


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

    def objects(self, name: str, arguments: str) -> list[Any]:
        """
        Run a command, and return the objects it prints.  Check that their keys are sorted.

        Args:
            arguments: they may name the model and the file.
        """

        def sorted_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            self.assertEqual([key for key, _ in pairs], sorted(key for key, _ in pairs), name)
            return dict(pairs)

        words = arguments.format(m=self.model_id, file=self.path, archive=self.archive).split()
        done = invoke(self.daemon.address, *name.split(), "--json", *words)
        self.assertTrue(done.stdout.isascii(), name)
        self.assertEqual(done.stderr, "", name)
        return [json.loads(line, object_pairs_hook=sorted_keys) for line in done.stdout.splitlines()]

    def check_shape(self, found: Any, shape: Shape, name: str) -> None:
        """
        Check that an object has these keys, and that their values have these types.
        """
        self.assertEqual(found.keys(), shape.keys(), name)
        for key, kind in shape.items():
            self.assertIsInstance(found[key], kind, f"{name}: {key}")
            self.assertEqual(isinstance(found[key], bool), kind is bool, f"{name}: {key}")

    def check(self, key: str, value: Any) -> None:
        """
        Check that numbers are not strings, and that times are.
        """
        if isinstance(value, dict) and key not in FREE | {
            "user_data",
            "versions",
        }:  # those of software may look like it
            for inner, each in value.items():
                self.check(inner, each)
        elif isinstance(value, str) and key not in FREE:
            self.assertIsNone(_NUMBER.fullmatch(value), f"{key}: {value!r}")
        if key in ("created", "moved") and isinstance(value, str):
            self.assertRegex(value, _TIME)
        if key in ("user_data", "labels"):
            self.assertEqual({type(each) for each in value.values()} - {str}, set())

    def test_every_command(self) -> None:
        """
        Each line is an object with sorted keys, the promised ones; numbers are numbers, and metadata is exact text.
        """
        for name, arguments, shape in LINES:
            found = self.objects(name, arguments)
            self.assertTrue(found, name)
            for each in found:
                self.check_shape(each, shape, f"{name} {arguments}")
                self.check("", each)
        self.assertEqual({name for name, _, _ in LINES} | ELSEWHERE, {name for name, _ in commands()})

    def test_verify(self) -> None:
        """
        Objects about an archive have sorted keys and numeric numbers, too; the last one is a summary.
        """
        (*_, last) = self.objects("archive verify", "{archive}")
        summary = last["summary"]
        self.check("", summary)
        counts = ("damaged", "models", "moved", "notes", "size_bytes", "versions")
        self.assertEqual({key: type(summary[key]) for key in counts}, dict.fromkeys(counts, int))

    def test_raise_numbers(self) -> None:
        """
        The same is true for a command on an archive without a daemon.
        """
        self.archive = Path(self.mktemp()).absolute()
        write_version(write_model(self.archive, "m"), 1, b"data")
        (found,) = self.objects("archive raise-numbers", "{archive}")
        self.check("", found)
        self.assertEqual(
            {key: type(found[key]) for key in ("model_id", "before", "after")},
            {"model_id": str, "before": int, "after": int},
        )

    def test_user_data(self) -> None:
        """
        Metadata that looks like a number stays as it was written.
        """
        for name, arguments in (
            ("ls", "{m}"),
            ("info", "{m}@1"),
            ("versions", "{m}"),
            ("watch", "--once {m}"),
            ("pull", "{m} {file}"),
        ):
            (*_, last) = self.objects(name, arguments)
            self.assertEqual(last["user_data"], _USER_DATA, name)

    def test_statuses(self) -> None:
        """
        Statuses that are numbers are JSON numbers.
        """
        (found,) = self.objects("status", "")
        self.assertIsInstance(found["statuses"]["subscribers"], int)
        self.assertIsInstance(found["statuses"]["overall_load"], int | float)
        self.assertIsInstance(found["versions"]["twisted-registry"], str)
