"""
Tests of the commands ``alias`` and ``rollback``.
"""

import json
from typing import Any

from click.testing import Result

from tests.support.cli import invoke
from tests.support.edge import SharedEdgeTestCase
from tests.support.registry_v1 import RegistryV1
from twisted_registry.cli.commands.alias_rm import removal_outcome
from twisted_registry.cli.commands.alias_set import setting_outcome
from twisted_registry.cli.server import Server
from twisted_registry.domain.references import Reference


class AliasCase(SharedEdgeTestCase):
    """
    A model with three transient versions.
    """

    def setUp(self) -> None:
        """
        Make the model.
        """
        super().setUp()
        self.v1 = RegistryV1(self.client.channel)
        self.client.save_model(self.model_id)
        for number in (1, 2, 3):
            self.client.create(self.model_id, bytes(number))

    def at(self, version: object) -> str:
        """
        Return a reference to a version of the model.
        """
        return f"{self.model_id}@{version}"

    def done(self, *arguments: str) -> Result:
        """
        Run a command.
        """
        return invoke(self.daemon.address, *arguments)

    def output(self, *arguments: str) -> str:
        """
        Run a command that succeeds, and return what it prints.
        """
        done = self.done(*arguments)
        self.assertEqual((done.exit_code, done.stderr), (0, ""))
        return done.stdout

    def refused(self, status: int, *arguments: str) -> str:
        """
        Run a command that fails with a status and prints nothing to stdout, and return its stderr.
        """
        done = self.done(*arguments)
        self.assertEqual((done.exit_code, done.stdout), (status, ""), done.stderr)
        return done.stderr

    def number(self, alias: str = "production") -> int:
        """
        Return the number that an alias names; 0 if it does not exist.
        """
        aliases: dict[str, int] = dict(self.v1.GetModel(model_id=self.model_id).aliases)
        return aliases.get(alias, 0)

    def moves(self) -> list[Any]:
        """
        Return all moves in the model's history, the newest first.
        """
        return [json.loads(line) for line in self.output("alias", "log", "--json", self.model_id).splitlines()]


class AliasTests(AliasCase):
    """
    Aliases that are set, removed and listed.
    """

    def test_set(self) -> None:
        """
        An alias names a version, which is archived by then, and can move to another one.
        """
        said = self.output("alias", "set", self.at(1), "production")
        self.assertEqual(said, f"{self.at('production')} names version 1 (it is new)\n")
        self.assertTrue(self.v1.GetVersion(reference=self.at(1)).archived)
        said = self.output("alias", "set", self.model_id, "production")
        self.assertEqual(said, f"{self.at('production')} names version 3 (before, it named version 1)\n")
        self.assertEqual(self.number(), 3)

    def test_set_again(self) -> None:
        """
        An alias that names the version already stays as it is, the line says so, and the history has no second move.
        """
        self.output("alias", "set", self.at(1), "production", "--reason", "first")
        unchanged = f"{self.at('production')} names version 1 already; nothing was changed"
        self.assertEqual(self.output("alias", "set", self.at(1), "production"), f"{unchanged}\n")
        said = self.output("alias", "set", self.at(1), "production", "--reason", "better")
        self.assertEqual(said, f"{unchanged}, and the reason was not recorded\n")
        self.assertEqual([each["reason"] for each in self.moves()], ["first"])
        self.assertEqual(json.loads(self.output("alias", "set", self.at(1), "production", "--json")), self.moves()[0])

    def test_set_by_alias(self) -> None:
        """
        The version may be named by another alias.
        """
        self.output("alias", "set", self.at(2), "canary")
        self.output("alias", "set", self.at("canary"), "production")
        self.assertEqual(self.number(), 2)

    def test_expected(self) -> None:
        """
        With --expected an alias moves only if it names that version, and 0 means that it must not exist.
        """
        self.output("alias", "set", self.at(1), "production", "--expected", "0")
        said = self.refused(1, "alias", "set", self.at(2), "production", "--expected", "0")
        self.assertIn("names version 1, and no such alias was expected, so nothing was changed", said)
        self.assertIn(f"'twisted-registry alias log {self.at('production')}'", said)
        self.assertIn("1", self.refused(1, "alias", "rm", self.at("production"), "--expected", "2"))
        self.assertEqual(self.number(), 1)
        self.output("alias", "set", self.at(2), "production", "--expected", "1")
        self.assertEqual(self.number(), 2)

    def test_removed(self) -> None:
        """
        A removed alias names nothing, and its history stays; removing it again is 1.
        """
        self.output("alias", "set", self.at(1), "production")
        self.assertEqual(self.output("alias", "rm", self.at("production")), f"removed {self.at('production')}\n")
        self.assertEqual(self.number(), 0)
        self.assertEqual([(each["from_number"], each["to_number"]) for each in self.moves()], [(1, None), (None, 1)])
        self.assertIn("has no alias production", self.refused(1, "alias", "rm", self.at("production")))

    def test_listed(self) -> None:
        """
        The list is sorted by alias, and has the version, the time and the reason of the last move.
        """
        self.output("alias", "set", self.at(2), "production", "--reason", "better on stairs")
        self.output("alias", "set", self.at(1), "canary")
        first, second = self.output("alias", "ls", self.model_id).splitlines()
        self.assertRegex(first, r"^canary\t1\t\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ\t\t$")
        self.assertRegex(second, r"^production\t2\t.*Z\t\t'better on stairs'$")
        objects = [json.loads(line) for line in self.output("alias", "ls", "--json", self.model_id).splitlines()]
        self.assertEqual([(each["alias"], each["to_number"]) for each in objects], [("canary", 1), ("production", 2)])

    def test_history(self) -> None:
        """
        The history is that of one alias or of all, the newest move first, and may be limited.
        """
        for number, alias in ((1, "production"), (2, "production"), (1, "canary")):
            self.output("alias", "set", self.at(number), alias, "--reason", f"because {number}")
        self.assertEqual([each["alias"] for each in self.moves()], ["canary", "production", "production"])
        newest, _ = self.output("alias", "log", self.at("production")).splitlines()
        self.assertRegex(newest, r"Z\tproduction\t1\t2\t\t'because 2'$")
        self.assertEqual(len(self.output("alias", "log", self.model_id, "--limit", "1").splitlines()), 1)
        self.assertEqual(self.output("alias", "log", self.at("other")), "")

    def test_refused(self) -> None:
        """
        A version that does not exist is 1; a name that no alias may have, and arguments that do not fit, are 2.
        """
        self.assertIn("choose another name", self.refused(2, "alias", "set", self.at(1), "latest"))
        self.assertIn("has no version 9", self.refused(1, "alias", "set", self.at(9), "production"))
        for arguments in (("rm", self.model_id), ("rm", self.at(1)), ("log", self.at(1))):
            self.assertIn("write MODEL@ALIAS", self.refused(2, "alias", *arguments))
        self.assertIn("'alias log'", self.refused(2, "alias", "ls", self.at("production")))

    def test_outcomes(self) -> None:
        """
        After an interruption a line says whether the alias was set or removed, as far as the registry shows it.
        """
        server, production = Server(self.daemon.address), Reference(self.model_id, alias="production")
        first = Reference(self.model_id, 1)
        self.assertEqual(removal_outcome(server, production), f"{self.at('production')} was removed")
        unknown = f"it is not known whether {self.at('production')} was set: 'twisted-registry alias log "
        self.assertIn(unknown, setting_outcome(server, first, "production"))
        self.output("alias", "set", self.at(1), "production")
        self.assertEqual(setting_outcome(server, first, "production"), f"{self.at('production')} was set")
        self.assertIn(unknown, setting_outcome(server, Reference(self.model_id), "production"))
        self.assertIn("it is not known whether", removal_outcome(server, production))


class RollbackTests(AliasCase):
    """
    Aliases that are moved back.
    """

    def setUp(self) -> None:
        """
        Move the alias from version 1 to version 2.
        """
        super().setUp()
        for number in (1, 2):
            self.output("alias", "set", self.at(number), "production")

    def test_back_and_forth(self) -> None:
        """
        A rollback moves the alias to the version before, with a reason; a second one undoes the first.
        """
        said = self.output("rollback", self.at("production"))
        self.assertEqual(said, f"{self.at('production')} names version 1 (before, it named version 2)\n")
        self.output("rollback", self.at("production"), "--reason", "falls on stairs")
        self.assertEqual(self.number(), 2)
        self.assertEqual([each["reason"] for each in self.moves()[:2]], ["falls on stairs", "rollback from version 2"])

    def test_other_aliases(self) -> None:
        """
        Moves of other aliases do not matter.
        """
        self.output("alias", "set", self.at(3), "canary")
        self.output("rollback", self.at("production"))
        self.assertEqual((self.number(), self.number("canary")), (1, 3))

    def test_restored(self) -> None:
        """
        A removed alias names again what it named.
        """
        self.output("alias", "rm", self.at("production"))
        self.output("rollback", self.at("production"), "--reason", "too early")
        self.assertEqual((self.number(), self.moves()[0]["reason"]), (2, "too early"))

    def test_version_gone(self) -> None:
        """
        If the version before was deleted, nothing moves, and the line says what to do.
        """
        self.output("rm", "--yes", self.at(1))
        said = self.refused(1, "rollback", self.at("production"))
        self.assertIn(f"version 1, which {self.at('production')} named before, no longer exists", said)
        self.assertIn("'twisted-registry alias set'", said)
        self.assertEqual(self.number(), 2)

    def test_nothing_before(self) -> None:
        """
        An alias that never named another version stays, and one that never existed is unknown.
        """
        self.output("alias", "set", self.at(3), "canary")
        self.assertIn("named no version before version 3", self.refused(1, "rollback", self.at("canary")))
        self.assertIn("has no alias other", self.refused(1, "rollback", self.at("other")))
        self.assertEqual(self.number("canary"), 3)
