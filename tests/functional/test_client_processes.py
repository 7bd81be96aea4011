"""
Tests of a client that shares its process with event loops, other users of gRPC, and forks.

Each case is a separate script, because its subject is a process.
"""

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

from tests.support.daemon import TIMEOUT_SECONDS, clean_environment
from tests.support.edge import SharedEdgeTestCase

ROOT = Path(__file__).parents[2]

# Later interpreters warn of every fork beside a thread, whatever the thread does.
OPTIONS = ("-X", "dev", "-W", "ignore:This process:DeprecationWarning")

BEGINNING = """
import asyncio, hashlib, logging, multiprocessing, os, signal, sys
from twisted_registry.client import BlockingClient, Client
from twisted_registry.client.errors import ClientUnusable
ADDRESS, MODEL = sys.argv[1:]
# In development mode asyncio logs slow callbacks.
logging.getLogger("asyncio").setLevel(logging.ERROR)
"""

FORKED = """
def in_child(work):
    # A child that hangs is ended by the alarm, and its status is not 0.
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        try:
            work()
            os._exit(0)
        except BaseException as error:
            print("child:", repr(error)[:300], flush=True)
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0, "the child failed"

def works(registry):
    assert registry.retrieve(MODEL) == b"weights"
"""


class ProcessTests(SharedEdgeTestCase):
    """
    Scripts beside a daemon that has a model with one version.
    """

    maxDiff = None

    def run_script(self, *parts: str, before: str = "") -> str:
        """
        Run a script, check that it succeeds, and return its output; stderr must be empty.

        Args:
            before: a line to run before all others.
        """
        self.client.save_model(self.model_id)
        self.client.create(self.model_id, b"weights")
        path = Path(f"{self.mktemp()}.py")
        path.write_text("".join([before, BEGINNING, *map(dedent, parts)]))
        arguments = [str(path.absolute()), self.daemon.address, self.model_id]
        process = subprocess.run(
            # Whatever it has forked ends with it, or would keep the pipe.
            ["timeout", "--signal=KILL", str(TIMEOUT_SECONDS), sys.executable, *OPTIONS, *arguments],
            cwd=ROOT,
            env=clean_environment({"PYTHONPATH": str(ROOT)}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.assertEqual(process.returncode, 0, process.stdout)
        return process.stdout

    # Forks

    def test_fork_before_the_first_call(self) -> None:
        """
        A client that has made no call yet works on both sides of a fork.
        """
        printed = self.run_script(
            FORKED,
            """
            registry = BlockingClient(ADDRESS)
            for _ in range(3):
                in_child(lambda: works(registry))
            works(registry)
            registry.close()
            """,
        )
        self.assertEqual(printed, "")

    def test_fork_after_closing(self) -> None:
        """
        If all clients are closed before a fork, the child can create clients.
        """
        printed = self.run_script(
            FORKED,
            """
            def reconnect():
                with BlockingClient(ADDRESS) as registry:
                    works(registry)

            async def before():
                async with Client(ADDRESS) as registry:
                    await registry.retrieve(MODEL)

            for _ in range(10):
                reconnect()
                asyncio.run(before())
                in_child(reconnect)
            reconnect()
            """,
        )
        self.assertEqual(printed, "")

    def test_fork_of_a_connected_client(self) -> None:
        """
        If a client is connected at a fork, every client in the child raises at once an error that says what to do; the
        parent's continues.
        """
        printed = self.run_script(
            FORKED,
            """
            def refused():
                for client in (registry, BlockingClient(ADDRESS)):
                    try:
                        client.latest(MODEL)
                    except ClientUnusable as error:
                        assert "spawn" in str(error), error
                    else:
                        raise AssertionError("it worked")
                    client.close()

            registry = BlockingClient(ADDRESS)
            works(registry)
            for _ in range(3):
                in_child(refused)
                works(registry)
            registry.close()
            """,
        )
        self.assertEqual(printed, "")

    def test_fork_with_open_iterators(self) -> None:
        """
        Trackers and iterators that a child was left say at once that they cannot work, and can be closed.
        """
        printed = self.run_script(
            FORKED,
            """
            def refused():
                for ask in (tracker.latest, lambda: next(tracker), lambda: next(chunks), tracker.__enter__):
                    try:
                        ask()
                    except ClientUnusable as error:
                        assert "spawn" in str(error), error
                    else:
                        raise AssertionError("it worked")
                chunks.close()
                tracker.close()
                registry.close()

            with BlockingClient(ADDRESS) as registry:
                registry.store(MODEL, bytes(10_000_000))
                with registry.track(MODEL) as tracker:
                    next(tracker)
                    chunks = registry.retrieve_chunks(MODEL)
                    next(chunks)
                    for _ in range(3):
                        in_child(refused)
                    assert len(b"".join(chunks)) > 1_000_000
                    registry.publish(MODEL, b"weights")
                    assert next(tracker).size_bytes == 7
            """,
        )
        self.assertEqual(printed, "")

    def test_fork_with_what_is_left_of_a_closed_client(self) -> None:
        """
        If a child inherits a part of a closed client that keeps gRPC running, such as an error, it gets an error, and
        can release that part.
        """
        printed = self.run_script(
            FORKED,
            """
            import gc

            def works_or_is_refused():
                global kept
                try:
                    with BlockingClient(ADDRESS) as registry:
                        works(registry)
                except ClientUnusable as error:
                    assert "delete their" in str(error), error
                kept = None
                gc.collect()

            with BlockingClient(ADDRESS) as registry:
                tracker = registry.track(MODEL)
                next(tracker)
                try:
                    registry.latest("nobody")
                except Exception as error:
                    kept = [error, tracker, registry]
            for _ in range(3):
                in_child(works_or_is_refused)
            with BlockingClient(ADDRESS) as registry:
                works(registry)
            """,
        )
        self.assertEqual(printed, "")

    def test_fork_beside_a_foreign_channel(self) -> None:
        """
        If the parent uses gRPC directly, in any layer, clients in the child raise an error.
        """
        printed = self.run_script(
            FORKED,
            """
            import grpc.aio

            def refused():
                try:
                    BlockingClient(ADDRESS).latest(MODEL)
                except ClientUnusable as error:
                    assert "spawn" in str(error), error
                else:
                    raise AssertionError("it worked")

            async def foreign():
                async with grpc.aio.insecure_channel(ADDRESS) as channel:
                    await channel.channel_ready()
                    in_child(refused)

            asyncio.run(foreign())
            with grpc.insecure_channel(ADDRESS) as channel:
                grpc.channel_ready_future(channel).result()
                in_child(refused)
            """,
        )
        self.assertEqual(printed, "")

    def test_workers_that_load_data(self) -> None:
        """
        Forked workers that do not touch the registry, such as those that load a trainer's data, run and end beside a
        connected client that goes on publishing.
        """
        self.run_script(
            """
            def load(number):
                return hashlib.sha256(bytes(number)).hexdigest()

            with BlockingClient(ADDRESS) as registry, registry.track(MODEL) as tracker:
                for _ in range(3):
                    with multiprocessing.get_context("fork").Pool(4) as pool:
                        loading = pool.map_async(load, range(1000))
                        registry.publish(MODEL, bytes(1_000_000))
                        assert len(set(loading.get(30))) == 1000
                        pool.close()
                        pool.join()
                assert registry.retrieve(MODEL) == bytes(1_000_000)
            """
        )

    def test_warning_where_grpc_came_first(self) -> None:
        """
        If gRPC was imported before the client, so that fork support could not be switched off, a fork beside a
        connected client causes a warning.
        """
        printed = self.run_script(
            """
            with BlockingClient(ADDRESS) as registry:
                registry.latest(MODEL)
                child = os.fork()
                if child:  # which may hang
                    os.kill(child, signal.SIGKILL)
                    os.waitpid(child, 0)
                else:
                    signal.pause()
            """,
            before="import grpc",
        )
        self.assertIn("Import twisted_registry.client before grpc", printed)

    def test_spawned_workers(self) -> None:
        """
        Workers that are spawned, or forked by a fork server, have clients beside the parent's.
        """
        self.run_script(
            """
            def size(number):
                with BlockingClient(ADDRESS) as registry:
                    return len(registry.retrieve(MODEL))

            if __name__ == "__main__":
                with BlockingClient(ADDRESS) as registry:
                    assert registry.retrieve(MODEL) == b"weights"
                    for method in ("spawn", "forkserver"):
                        with multiprocessing.get_context(method).Pool(2) as pool:
                            assert pool.map(size, range(4)) == [7] * 4
                    assert registry.retrieve(MODEL) == b"weights"
            """
        )

    def test_client_that_is_given_to_workers(self) -> None:
        """
        A client that is given to a spawned worker connects there.
        """
        self.run_script(
            """
            def size(registry):
                with registry:
                    return len(registry.retrieve(MODEL))

            async def asynchronous_size(client):
                async with client:
                    return len(await client.retrieve(MODEL))

            def asynchronous(client):
                return asyncio.run(asynchronous_size(client))

            if __name__ == "__main__":
                with BlockingClient(ADDRESS) as registry:
                    assert registry.retrieve(MODEL) == b"weights"
                    with multiprocessing.get_context("spawn").Pool(1) as pool:
                        assert pool.apply(size, (registry,)) == 7
                        assert pool.apply(asynchronous, (Client(ADDRESS),)) == 7
                    assert registry.retrieve(MODEL) == b"weights"
            """
        )

    # Loops and threads

    def test_several_loops_and_threads(self) -> None:
        """
        Clients in an event loop of the program's own, and blocking ones in many threads, work side by side.
        """
        printed = self.run_script(
            """
            from concurrent.futures import ThreadPoolExecutor

            async def own_loop():
                async with Client(ADDRESS) as client:
                    for _ in range(100):
                        assert await client.retrieve(MODEL) == b"weights"

            with BlockingClient(ADDRESS) as registry, ThreadPoolExecutor(8) as pool:
                blocking = [pool.submit(registry.retrieve, MODEL) for _ in range(400)]
                asyncio.run(own_loop())
                assert all(future.result() == b"weights" for future in blocking)
            """
        )
        self.assertEqual(printed, "")

    def test_client_that_changes_its_loop(self) -> None:
        """
        A client that was used in one event loop says in another one that it belongs to the first.
        """
        self.run_script(
            """
            client = Client(ADDRESS)
            loop = asyncio.new_event_loop()
            loop.run_until_complete(client.latest(MODEL))
            try:
                asyncio.run(client.latest(MODEL))
            except ClientUnusable as error:
                assert "loop" in str(error)
            else:
                raise AssertionError("it worked")
            loop.run_until_complete(client.close())
            loop.close()
            """
        )

    def test_clients_nobody_closes(self) -> None:
        """
        A process with open clients and trackers ends, and prints nothing.
        """
        printed = self.run_script(
            """
            registry = BlockingClient(ADDRESS)
            tracker = registry.track(MODEL)
            next(tracker)
            chunks = registry.retrieve_chunks(MODEL)
            next(chunks)
            """
        )
        self.assertEqual(printed, "")

    def test_threads_that_go_on(self) -> None:
        """
        Threads that go on when the main thread has ended can use the client still.
        """
        printed = self.run_script(
            """
            import pathlib, threading

            def work():
                threading.main_thread().join()
                data = bytes(10_000_000)
                registry.store(MODEL, data)
                path = pathlib.Path(sys.argv[0]).with_suffix(".bin")
                registry.retrieve_file(MODEL, path)
                assert path.read_bytes() == data
                path.unlink()
                assert b"".join(registry.retrieve_chunks(MODEL)) == data
                print("all is well", flush=True)

            registry = BlockingClient(ADDRESS)
            threading.Thread(target=work).start()
            """
        )
        self.assertEqual(printed, "all is well\n")

    def test_daemon_threads(self) -> None:
        """
        A process ends quietly while daemon threads follow a model, and transfer versions.
        """
        printed = self.run_script(
            """
            import threading, time

            def follow(begun):
                with BlockingClient(ADDRESS) as registry:
                    for version in registry.track(MODEL, data=True, wait=True):
                        begun.set()

            def wait_for_a_model(begun):
                with BlockingClient(ADDRESS) as registry:
                    begun.set()
                    for version in registry.track("none-yet", wait=True):
                        pass

            def upload(begun):
                def pieces():
                    while True:
                        begun.set()
                        time.sleep(0.01)
                        yield bytes(1000)

                with BlockingClient(ADDRESS) as registry:
                    registry.store(MODEL, pieces(), size_bytes=10**9)

            def again_and_again(work):
                def act(begun):
                    with BlockingClient(ADDRESS) as registry:
                        while True:
                            work(registry)
                            begun.set()
                return act

            works = [follow, wait_for_a_model, upload] + [
                again_and_again(work)
                for work in (
                    lambda registry: registry.latest(MODEL),
                    lambda registry: registry.publish(MODEL, bytes(1_000_000)),
                    lambda registry: registry.retrieve(MODEL),
                    lambda registry: b"".join(registry.retrieve_chunks(MODEL)),
                    lambda registry: list(registry.versions(MODEL)),
                )
            ]
            for work in works:
                begun = threading.Event()
                threading.Thread(target=work, args=(begun,), daemon=True).start()
                begun.wait()
            print("all is done")
            """
        )
        self.assertEqual(printed, "all is done\n")

    def test_source_that_waits_for_ever(self) -> None:
        """
        A process ends although a pipe is still to bring data that nobody waits for.
        """
        printed = self.run_script(
            """
            from contextlib import suppress
            from threading import Event, Thread
            from twisted_registry.client.errors import DeadlineExceeded

            def publish():
                with suppress(ClientUnusable):
                    registry.publish(MODEL, iter(lambda: Event().wait(), True))

            reading, writing = os.pipe()
            with BlockingClient(ADDRESS) as registry, open(reading, "rb", closefd=False) as pipe:
                try:
                    registry.publish(MODEL, pipe, deadline_seconds=0.2)
                except DeadlineExceeded:
                    pass
                else:
                    raise AssertionError("it worked")
                os.write(writing, b"more")  # and yet the end does not come
                Thread(target=publish, daemon=True).start()
            """
        )
        self.assertEqual(printed, "")

    # Others

    def test_beside_the_cogment_sdk(self) -> None:
        """
        A client works in a process that has another cogmentAPI in protobuf's default pool, as the Cogment SDK has, and
        uses gRPC by itself.
        """
        self.run_script(
            """
            import grpc, grpc_tools
            sys.path.append("protos")
            protos, services = grpc.protos_and_services("cogment/api/model_registry.proto")
            sdk = services.ModelRegistrySPStub(grpc.insecure_channel(ADDRESS))
            async def both():
                other = services.ModelRegistrySPStub(grpc.aio.insecure_channel(ADDRESS))
                request = protos.RetrieveVersionInfosRequest(model_id=MODEL, version_numbers=[-1])
                async with Client(ADDRESS) as client:
                    info = await client.latest(MODEL)
                    for reply in (sdk.RetrieveVersionInfos(request), await other.RetrieveVersionInfos(request)):
                        assert reply.version_infos[0].data_hash == info.sha256
            asyncio.run(both())
            with BlockingClient(ADDRESS) as registry:
                assert registry.latest(MODEL).size_bytes == 7
            """
        )
