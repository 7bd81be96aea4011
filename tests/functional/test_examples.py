"""
Tests for the training example: a trainer, actors and a deployment, each a separate process.
"""

import asyncio
import importlib
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import grpc
from twisted.trial.unittest import SynchronousTestCase

from tests.support.archive_files import write_model
from tests.support.daemon import free_port
from tests.support.edge import EdgeTestCase
from tests.support.fake_server import FakeServer, failure, in_turn
from tests.support.registry_case import RegistryTestCase
from tests.support.scripts import TRAINING, Script, run_script
from twisted_registry.client import BlockingClient, VersionInfo, VersionRecord
from twisted_registry.client.errors import (
    RegistryError,
    StorageFailure,
    StorageFull,
    StorageReadOnly,
    Unavailable,
    UnknownModel,
)
from twisted_registry.protocol.messages import api, v1

ACTORS = ("actor.py", "actor_twisted.py")
ALIAS = "production"


class ExampleTestCase(RegistryTestCase):
    """
    A test case that runs scripts of the example against the test's daemon.
    """

    def setUp(self) -> None:
        """
        Start a daemon and connect with the client library.
        """
        super().setUp()
        self.address = self.daemon.address
        self.registry = BlockingClient(self.address)
        self.addCleanup(self.registry.close)

    def begin(self, name: str, *arguments: str) -> Script:
        """
        Start a script and let it run.
        """
        script = Script(name, ["--server", self.address, *arguments])
        self.addCleanup(script.kill)
        return script

    def run_to_end(self, name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """
        Run a script to its end.
        """
        return run_script(self.directory, name, "--server", self.address, *arguments)

    def train(self, versions: int, *arguments: str) -> None:
        """
        Publish some versions, quickly.
        """
        done = self.run_to_end("trainer.py", "--versions", str(versions), "--period", "0", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)

    def versions(self, model_id: str = "cartpole") -> list[VersionInfo]:
        """
        List a model's versions.
        """
        return list(self.registry.versions(model_id))


class TrainingTests(ExampleTestCase, EdgeTestCase):
    """
    A trainer, and actors that follow it.
    """

    def test_actors_follow_to_the_last_version(self) -> None:
        """
        Actors of both styles act with rising versions, up to the trainer's last.
        """
        actors = [self.begin(name, "--until", "6") for name in ACTORS]
        trainer = self.begin("trainer.py", "--versions", "6", "--period", "0.2")
        self.assertEqual([each.wait() for each in (trainer, *actors)], [0, 0, 0], [each.lines for each in actors])
        for actor in actors:
            self.assertEqual(actor.versions, sorted(set(actor.versions)))
            self.assertEqual(actor.versions[-1], 6)

    def test_score_rises(self) -> None:
        """
        With seed 0, the twentieth version is more than five times as good as the first.
        """
        self.train(20, "--seed", "0")
        scores = [float(info.metadata["score"]) for info in self.versions()]
        self.assertGreater(scores[-1], 5 * scores[0])

    def test_seed_decides_the_bytes(self) -> None:
        """
        Two trainers with the same seed publish the same bytes.
        """
        for model_id in ("one", "two"):
            self.train(3, "--seed", "7", "--model", model_id)
        one, two = ([info.sha256 for info in self.versions(model_id)] for model_id in ("one", "two"))
        self.assertEqual(one, two)

    def test_deleted_model_ends_all(self) -> None:
        """
        If the model is deleted, actors and the trainer end with a line that says what to do.
        """
        actors = [self.begin(name) for name in ACTORS]
        trainer = self.begin("trainer.py", "--period", "0.2")
        for script in (trainer, *actors):
            script.wait_for_version(1)
        self.registry.delete_model("cartpole")
        self.assertEqual([script.wait() for script in (trainer, *actors)], [1, 1, 1])
        for script in actors:
            self.assertIn("there is no model 'cartpole': start the trainer first", script.lines[-1])
        # In the middle of a publication the text is different.
        self.assertRegex(trainer.lines[-1], "no model 'cartpole': start the trainer again$|was deleted meanwhile")

    def test_other_bytes_are_skipped(self) -> None:
        """
        An actor skips a version that is not a policy, and says so.
        """
        self.registry.save_model("cartpole")
        self.registry.publish("cartpole", b"no policy")
        actor = self.begin("actor.py", "--until", "1")
        self.assertEqual(actor.wait(), 0)
        self.assertIn("actor: version 1 is skipped: it is not an .npz file", actor.lines[-1])


class AbsenceTests(ExampleTestCase):
    """
    The registry is away for a while.
    """

    keeps_port = True

    def begin_all(self) -> list[Script]:
        """
        Start a trainer without end, and two actors.
        """
        return [self.begin("trainer.py", "--period", "0.2"), *map(self.begin, ACTORS)]

    def end_all(self, scripts: list[Script]) -> None:
        """
        Press Ctrl-C everywhere, and check that only known lines were printed.
        """
        self.assertEqual([script.interrupt() for script in scripts], [130, 130, 130])
        for line in (line for script in scripts for line in script.lines):
            self.assertRegex(line, r"^(trainer|actor): (version \d+, |waiting for )")

    def start_on(self, port: int) -> None:
        """
        Start the daemon on a certain port, on the same archive.
        """
        self.daemon.kill()
        self.daemon = self.start_daemon("--port", str(port))

    def test_training_survives_a_crash(self) -> None:
        """
        If the registry is killed and started again, the trainer and the actors continue, and numbers only rise.
        """
        scripts = self.begin_all()
        for script in scripts:
            script.wait_for_version(2)
        self.daemon.kill()
        scripts[0].wait_for("trainer: waiting for the registry at ")
        before = max(scripts[0].versions)
        self.start_on(self.daemon.port)
        for script in scripts:
            script.wait_for_version(before + 2)
        self.end_all(scripts)
        for script in scripts:
            self.assertEqual(script.versions, sorted(set(script.versions)))

    def test_scripts_wait_for_a_registry(self) -> None:
        """
        Trainer and actors that start before the registry say that they wait, and begin once it serves.
        """
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        scripts = self.begin_all()
        for script in scripts:
            script.wait_for(": waiting for ")
        self.start_on(port)
        for script in scripts:
            script.wait_for_version(2)
        self.end_all(scripts)

    def test_ctrl_c_ends_waiting_scripts(self) -> None:
        """
        Scripts that wait for a registry end on Ctrl-C without a traceback.
        """
        self.address = f"127.0.0.1:{free_port()}"
        scripts = self.begin_all()
        for script in scripts:
            script.wait_for(": waiting for ")
        self.end_all(scripts)


class StorageTests(SynchronousTestCase):
    """
    The registry serves, but its disk cannot be written for a while.
    """

    def create(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Any:
        """
        Accept a version.
        """
        _, *chunks = map(v1.CreateVersionRequest.FromString, requests)
        data = b"".join(each.chunk for each in chunks)
        return v1.Version(model_id="cartpole", number=101, size_bytes=len(data), sha256=sha256(data).digest())

    def test_trainer_waits(self) -> None:
        """
        The trainer says once what it waits for, retries, and publishes when it can.
        """
        full = failure(StorageFull("No space left on device"))
        absent = failure(UnknownModel("cartpole"))
        info = api.ModelInfo(model_id="cartpole", user_data={"task": "cart-pole", "format": "npz"})
        made = api.RetrieveModelsReply(model_infos=[info])
        server = FakeServer(
            RetrieveModels=in_turn(absent, absent, lambda request, context: made),
            CreateOrUpdateModel=in_turn(
                failure(StorageReadOnly("Read-only file system")),
                lambda request, context: api.CreateOrUpdateModelReply(),
            ),
            v1_CreateVersion=in_turn(full, full, self.create),
            v1_GetUpload=lambda request, context: v1.Upload(),
        )
        self.addCleanup(server.stop)
        trainer = Script("trainer.py", ["--server", server.address, "--versions", "1"])
        self.addCleanup(trainer.kill)
        self.assertEqual(trainer.wait(), 0, trainer.lines)
        self.assertEqual(trainer.versions, [101])
        for said in ("the registry's archive cannot be written", "the registry's storage is full (No space left"):
            waiting = f"trainer: waiting for the registry at {server.address}: {said}"
            self.assertEqual([line.startswith(waiting) for line in trainer.lines].count(True), 1, trainer.lines)
        self.assertEqual(len(server.metadata), 8)


class RetriesTests(SynchronousTestCase):
    """
    The trainer's retries.
    """

    def setUp(self) -> None:
        """
        Load the trainer and remove its pauses.
        """
        self.patch(sys, "path", [str(TRAINING), *sys.path])
        self.trainer: Any = importlib.import_module("trainer")
        self.said: list[str] = []
        self.patch(self.trainer, "say", self.said.append)
        self.patch(self.trainer, "NOTICE_SECONDS", 0.0)
        self.patch(self.trainer, "STORAGE_PAUSE_SECONDS", 0.0)

    def run_retries(self, *absences: Sequence[RegistryError]) -> None:
        """
        Run a call once for each list of errors, which it raises before it succeeds.
        """

        async def run() -> None:
            retries = self.trainer.Retries("here")
            for errors in absences:
                outcomes = iter(errors)

                async def act(outcomes: Iterator[RegistryError] = outcomes) -> str:
                    error = next(outcomes, None)
                    if error is None:
                        return "done"
                    if isinstance(error, Unavailable):
                        await asyncio.sleep(0.01)  # the client retries meanwhile
                    raise error

                self.assertEqual(await retries.run(act), "done")

        asyncio.run(run())

    def test_notice_comes_once_in_an_absence(self) -> None:
        """
        However often the client gives up, the trainer says once that it waits, and once again in the next absence.
        """
        away = [Unavailable("away")] * 3
        self.run_retries(away)
        self.assertEqual(self.said, ["trainer: waiting for the registry at here"])
        self.run_retries(away, away)
        self.assertEqual(len(self.said), 3)

    def test_each_error_is_printed_once(self) -> None:
        """
        Each kind of disk error is printed once.
        """
        errors = [StorageFailure("a"), StorageFull("b"), StorageReadOnly("c")]
        self.run_retries([*errors, *errors])
        self.assertEqual(self.said, [f"trainer: waiting for the registry at here: {error}" for error in errors])


class DeploymentCase(ExampleTestCase):
    """
    A file to deploy the best version to.
    """

    keeps_port = True

    def setUp(self) -> None:
        """
        Choose the file to deploy to.
        """
        super().setUp()
        self.file = self.directory / "policy.npz"

    def store(self, data: bytes, **metadata: str) -> None:
        """
        Archive bytes as if they were the best version.
        """
        self.registry.ensure_model("cartpole")
        self.registry.set_alias(self.registry.publish("cartpole", data, metadata), ALIAS)

    def archived(self) -> VersionRecord:
        """
        Return the version that the alias names.
        """
        return self.registry.get(f"cartpole@{ALIAS}")

    def assert_refuses(self, said: str, *arguments: str) -> None:
        """
        Check that a deployment ends with status 1 and one line on stderr.
        """
        done = self.run_to_end("deploy.py", str(self.file), *arguments)
        self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertIn(said, done.stderr)

    def archive_and_deploy(self) -> None:
        """
        Train briefly, archive the best version, and deploy it.
        """
        self.train(4)
        for name, arguments in (("archive_best.py", ()), ("deploy.py", (str(self.file),))):
            done = self.run_to_end(name, *arguments)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.deployed = done.stdout


class DeploymentTests(DeploymentCase, EdgeTestCase):
    """
    The best version is archived and deployed.
    """

    def test_best_is_archived(self) -> None:
        """
        The version with the best score is archived under its number, and no other; the alias names it.
        """
        self.archive_and_deploy()
        best = max(self.versions(), key=lambda info: (float(info.metadata["score"]), info.version_number))
        self.assertEqual([info for info in self.versions() if info.archived], [best])
        self.assertEqual(self.archived().info, best)

    def test_score_is_a_metric(self) -> None:
        """
        Each version has its score as a number, too.
        """
        self.train(3)
        for record in self.registry.search("cartpole"):
            self.assertEqual(record.metrics, {"score": float(record.info.metadata["score"])})

    def test_deployed_is_as_good_as_archived(self) -> None:
        """
        The deployment measures the archived score, and the file contains the archived bytes.
        """
        self.archive_and_deploy()
        archived = self.archived()
        self.assertIn(f"score {archived.metrics['score']:.1f}, verified", self.deployed)
        self.assertEqual(b64encode(sha256(self.file.read_bytes()).digest()).decode(), archived.info.sha256)

    def test_changed_file_is_refused(self) -> None:
        """
        A file that has changed since its deployment is refused.
        """
        self.archive_and_deploy()
        self.file.write_bytes(self.file.read_bytes()[:-1] + b"?")
        self.assert_refuses(f"its hash is not that of version {self.archived().number}", "--only-verify")

    def test_worse_version_is_refused(self) -> None:
        """
        A version that is worse than its archived score is refused, and the deployed file stays as it was.
        """
        self.archive_and_deploy()
        before = self.file.read_bytes()
        worse = self.registry.retrieve("cartpole", 1)
        self.store(worse, score="500.0", score_episodes="20", score_seed="1983")
        self.assert_refuses("and was archived as 500.0")
        self.assertEqual(self.file.read_bytes(), before)

    def test_wrong_bytes_are_refused(self) -> None:
        """
        A version that is not a policy is refused, and nothing is deployed.
        """
        self.store(b"no policy", score="500.0", score_episodes="20", score_seed="1983")
        self.assert_refuses("it is not an .npz file with weights")
        self.assertFalse(self.file.exists())

    def test_damaged_archive_is_refused(self) -> None:
        """
        A version that is damaged on the registry's disk is refused.
        """
        self.archive_and_deploy()
        (data,) = self.archive.rglob("*.data")
        spoil(data)
        self.daemon.stop()
        self.daemon = self.start_daemon()
        self.assert_refuses("is damaged in the archive")

    def test_refusal_of_the_registry_is_one_line(self) -> None:
        """
        If the model or the alias does not exist, a script says so in one line, and names the script that creates it.
        """
        self.assert_refuses("deploy.py: there is no model 'cartpole': start the trainer first\n")
        self.registry.save_model("cartpole")
        self.assert_refuses("deploy.py: model 'cartpole' has no alias 'production': run archive_best.py first\n")
        self.registry.delete_model("cartpole")
        done = self.run_to_end("archive_best.py")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"^\S+archive_best.py: there is no model 'cartpole': start the trainer first\n$")

    def test_damaged_model_is_refused(self) -> None:
        """
        If the model is damaged on the registry's disk, the line names the script that repairs it; and that script does.
        """
        self.daemon.stop()
        write_model(self.archive, "cartpole", "{")
        self.daemon = self.start_daemon()
        self.assert_refuses("start the trainer first, which writes it again")
        self.archive_and_deploy()

    def test_history_stays(self) -> None:
        """
        If another version is the best later, the alias moves, and its history says why it named the first one.
        """
        self.archive_and_deploy()
        first = self.archived()
        self.registry.annotate(self.registry.publish("cartpole", b"better"), metrics={"score": 501})
        self.assertEqual(self.run_to_end("archive_best.py").returncode, 0)
        moves = [(move.to_number, move.reason) for move in self.registry.alias_moves("cartpole", ALIAS)]
        self.assertEqual(moves, [(5, "score 501.0"), (first.number, f"score {first.metrics['score']:.1f}")])

    def test_without_scores_nothing_is_archived(self) -> None:
        """
        If no version has a score, nothing is archived.
        """
        self.registry.save_model("cartpole")
        self.registry.publish("cartpole", b"no policy")
        done = self.run_to_end("archive_best.py")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no version of cartpole has a score", done.stderr)


class CrashTests(DeploymentCase):
    """
    The registry crashes before the deployment.
    """

    def test_archived_can_be_deployed_after_a_crash(self) -> None:
        """
        After a kill of the registry, the archived version can still be deployed; transient ones are gone.
        """
        self.archive_and_deploy()
        self.daemon.kill()
        self.daemon = self.start_daemon()
        done = self.run_to_end("deploy.py", str(self.file))
        self.assertEqual((done.stdout, self.versions()), (self.deployed, [self.archived().info]), done.stderr)


def spoil(data: Path) -> None:
    """
    Change a byte of a file.
    """
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)
