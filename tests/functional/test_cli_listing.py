"""
Tests for the commands ``ls``, ``versions`` and ``info``.
"""

import json
import re

from click.testing import Result
from twisted.trial.unittest import SynchronousTestCase

from tests.support.cli import Terminal, invoke, run
from tests.support.client import data_hash
from tests.support.edge import EdgeTestCase, SharedEdgeTestCase
from tests.support.fake_registry import FakeRegistry
from twisted_registry.protocol.messages import api

_CONTROL = re.compile(r"[^\t\n\x20-\x7e]")


class ListingTests(SharedEdgeTestCase):
    """
    The listing commands, for people and programs.
    """

    def setUp(self) -> None:
        """
        Make a model of three versions, the second archived.
        """
        super().setUp()
        self.client.save_model(self.model_id, algorithm="ppo", owner="ada l")
        for number in (1, 2, 3):
            self.client.create(
                self.model_id, bytes(number * 1000), archived=number == 2, creation_timestamp=number * 10**9
            )

    def output(self, *arguments: str) -> str:
        """
        Run a command, and return what it prints.
        """
        done = self.done(*arguments)
        self.assertEqual((done.exit_code, done.stderr), (0, ""))
        return done.stdout

    def done(self, *arguments: str) -> Result:
        """
        Run a command.
        """
        return invoke(self.daemon.address, *arguments)

    def numbers(self, reference: str) -> list[int]:
        """
        List versions, and return their numbers.
        """
        return [
            json.loads(line)["version_number"] for line in self.output("versions", "--json", reference).splitlines()
        ]

    def test_models(self) -> None:
        """
        In a pipe each model is a line: id, tab, metadata.
        """
        self.assertEqual(self.output("ls", self.model_id), f"{self.model_id}\talgorithm=ppo owner='ada l'\n")
        self.assertIn(self.output("ls", self.model_id), self.output("ls"))

    def test_models_as_json(self) -> None:
        """
        With --json each model is an object.
        """
        expected = {"model_id": self.model_id, "user_data": {"algorithm": "ppo", "owner": "ada l"}}
        self.assertIn(expected, [json.loads(line) for line in self.output("ls", "--json").splitlines()])

    def test_long(self) -> None:
        """
        With -l each model has its latest version, or dashes if there is none.
        """
        empty = f"{self.model_id}-empty"
        self.client.save_model(empty)
        first, second = self.output("ls", "-l", self.model_id, empty).splitlines()
        self.assertRegex(first, r"^\w+\t3\t3\.0 kB\t\d+ d\ttransient\talgorithm=ppo")
        self.assertEqual(second, f"{empty}\t-\t-\t-\t-\t")
        full, none = map(json.loads, self.output("ls", "-l", "--json", self.model_id, empty).splitlines())
        self.assertEqual((full["latest"]["version_number"], none["latest"]), (3, None))

    def test_versions(self) -> None:
        """
        A version is a line: number, size, time, kind, the beginning of the hash, metadata, aliases; the newest is last.
        """
        lines = self.output("versions", self.model_id).splitlines()
        self.assertRegex(lines[1], r"^2\t2\.0 kB\t1970-01-01 00:00:02Z\tarchived\t\S{12}\t\t$")
        self.assertEqual([line.split("\t")[0] for line in lines], ["1", "2", "3"])

    def test_some_versions(self) -> None:
        """
        MODEL@N starts with number N, MODEL@-N with the N-th latest version.
        """
        expected = {"@2": [2, 3], "@3": [3], "@4": [], "@-1": [3], "@-2": [2, 3], "@-9": [1, 2, 3]}
        self.assertEqual({version: self.numbers(f"{self.model_id}{version}") for version in expected}, expected)

    def test_model(self) -> None:
        """
        The info of a model has its metadata, the number of its versions, and their size.
        """
        facts = dict(line.split("\t") for line in self.output("info", self.model_id).splitlines())
        expected = {"model": self.model_id, "versions": "3, 1 of them archived", "size": "6.0 kB (6,000 bytes)"}
        self.assertEqual(facts, {**expected, "latest": "3", "metadata algorithm": "ppo", "metadata owner": "'ada l'"})
        found = json.loads(self.output("info", "--json", self.model_id))
        self.assertEqual((found["versions"], found["archived"], found["size_bytes"]), (3, 1, 6000))
        self.assertEqual(found["latest"]["version_number"], 3)

    def test_version(self) -> None:
        """
        The info of a version is complete: the full hash, and the exact size and time.
        """
        facts = dict(line.split("\t") for line in self.output("info", f"{self.model_id}@-2").splitlines())
        self.assertEqual(facts["version"], f"{self.model_id}@2")
        self.assertEqual((facts["kind"], facts["size"]), ("archived", "2.0 kB (2,000 bytes)"))
        self.assertIn("1970-01-01T00:00:02.000000000Z", facts["created"])
        self.assertEqual(len(facts["SHA-256"]), 44)

    def test_json_is_the_same_everywhere(self) -> None:
        """
        The JSON object of a version has the same values in every command; some also know its labels, metrics,
        aliases and creator.
        """
        common = json.loads(self.output("ls", "-l", "--json", self.model_id))["latest"]
        more: dict[str, object] = {"labels": {}, "metrics": {}, "aliases": [], "created_by": None}
        self.assertEqual(json.loads(self.output("info", "--json", f"{self.model_id}@3")), {**common, **more})
        self.assertEqual(json.loads(self.output("versions", "--json", f"{self.model_id}@3")), {**common, **more})

    def test_not_there(self) -> None:
        """
        A missing thing is 1, with one line on stderr.
        """
        for arguments in (("ls", "nobody"), ("versions", "nobody"), ("info", "nobody"), ("info", f"{self.model_id}@4")):
            done = self.done(*arguments)
            self.assertEqual((done.exit_code, done.stdout), (1, ""))
            self.assertRegex(done.stderr, r"^twisted-registry: .* no .*\n$")

    def test_ls_of_a_version(self) -> None:
        """
        ls with a version is 2, and names the command that lists versions.
        """
        done = self.done("ls", f"{self.model_id}@3")
        self.assertEqual(done.exit_code, 2)
        self.assertIn("'versions' lists versions", done.stderr)

    def test_odd_ids(self) -> None:
        """
        An @ in a model's id is written %40.
        """
        self.client.save_model("team@3")
        self.assertEqual(self.output("info", "team%403").splitlines()[0], "model\tteam@3")
        self.client.create("team@3", b"data")
        self.assertEqual(self.output("info", "team%403@-1").splitlines()[0], "version\tteam%403@1")

    def test_aliases(self) -> None:
        """
        A reference with an unknown alias is 1, an alias in place of a model is 2; both say how an id is written.
        """
        for name, *rest in (("info",), ("versions",), ("watch", "--once"), ("pull", "-")):
            done = self.done(name, f"{self.model_id}@production", *rest)
            self.assertEqual((done.exit_code, done.stdout), (1, ""), name)
            self.assertIn(f"model {self.model_id} has no alias production", done.stderr)
            self.assertIn("%40", done.stderr)
        done = self.done("ls", "team@eu")
        self.assertEqual(done.exit_code, 2)
        self.assertIn("'team%40eu'", done.stderr)

    def test_table(self) -> None:
        """
        On a terminal the list is a table with a header, and long cells are wrapped, not cut.
        """
        model_id = "x" * 150
        self.client.save_model(model_id)
        with Terminal() as terminal:
            run(self.daemon.address, "ls", model_id, capture_output=False, stdout=terminal.child)
            terminal.let_go()
            terminal.read_all()
        self.assertIn(b"METADATA", terminal.shown)
        self.assertEqual(terminal.shown.count(b"x"), 150)


class DamagedTests(EdgeTestCase):
    """
    A model whose latest version is damaged.
    """

    def test_damaged(self) -> None:
        """
        ls -l shows it as damaged and lists the others; versions skips it, even if counting starts there.
        """
        self.client.save_model("m")
        self.client.save_model("n")
        self.client.create("m", b"data", archived=True)
        self.client.create("m", b"data", archived=True)
        self.daemon.stop()
        (self.archive / "m" / "m-v000002.yaml").write_text("{")
        self.daemon = self.start_daemon()
        done = invoke(self.daemon.address, "ls", "-l")
        self.assertEqual(done.stdout, "m\t2\t-\t-\tdamaged\t\nn\t-\t-\t-\t-\t\n")
        self.assertEqual(invoke(self.daemon.address, "versions", "m@-1").stdout, "")
        self.assertEqual(invoke(self.daemon.address, "versions", "m").stdout.count("\n"), 1)
        self.assertEqual(invoke(self.daemon.address, "info", "m@2").exit_code, 1)


class HostileTests(SynchronousTestCase):
    """
    A registry that sends control characters.
    """

    evil = "\x1b]0;x\x07[red]\n\t\u202e\x9b1m"

    def serve(self, model_id: str, hash_of_data: str) -> str:
        """
        Serve a model and a version of it, and return the address.
        """
        info = api.ModelVersionInfo(
            model_id=model_id, version_number=1, data_hash=hash_of_data, user_data={self.evil: self.evil}
        )
        server = FakeRegistry(
            {
                "RetrieveModels": api.RetrieveModelsReply(
                    model_infos=[api.ModelInfo(model_id=model_id, user_data={self.evil: self.evil})]
                ),
                "RetrieveVersionInfos": api.RetrieveVersionInfosReply(version_infos=[info]),
            }
        )
        self.addCleanup(server.close)
        return server.address

    def assert_plain(self, model_id: str, expected: dict[tuple[str, ...], int]) -> None:
        """
        Check that what is printed of a model is plain ASCII.

        Args:
            expected: commands, and how many lines each prints.
        """
        address = self.serve(model_id, data_hash(b""))
        for arguments, count in expected.items():
            done = invoke(address, *arguments)
            self.assertEqual((done.exit_code, done.stderr), (0, ""))
            self.assertEqual(_CONTROL.findall(done.stdout), [])
            self.assertEqual(len(done.stdout.splitlines()), count, done.stdout)

    def test_nothing_raw(self) -> None:
        """
        Any ids and metadata are printed as plain ASCII, one line each.
        """
        self.assert_plain(self.evil, {("ls",): 1, ("ls", "-l"): 1, ("ls", "--json"): 1})
        odd = "[red]\u202e\u2028\u200b m"  # all that an id may be that can be asked for
        self.assert_plain(
            odd,
            {
                ("ls",): 1,
                ("ls", "-l"): 1,
                ("ls", "--json"): 1,
                ("versions", odd): 1,
                ("versions", "--json", odd): 1,
                ("info", odd): 5,
                ("info", f"{odd}@1"): 6,
                ("info", "--json", f"{odd}@1"): 1,
            },
        )

    def test_refused(self) -> None:
        """
        An invalid SHA-256, and a model that was not requested, are refused with a plain line.
        """
        for address in (self.serve(self.evil, data_hash(b"")), self.serve("m", self.evil)):
            for arguments in (("versions", "m"), ("versions", "--json", "m"), ("info", "m"), ("info", "m@1")):
                done = invoke(address, *arguments)
                self.assertEqual((done.exit_code, done.stdout), (1, ""))
                self.assertEqual(_CONTROL.findall(done.stderr), [])
                self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
