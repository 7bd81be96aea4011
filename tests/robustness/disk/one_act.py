"""
Processes that each do one thing to an archive, in one thread, and wait before it: for one who attaches a tracer::

    python -m tests.robustness.disk.one_act          a process for each line on stdin: ROOT ACT SEED

Each has opened the archive when its number is printed, and begins at ``SIGUSR1``.  When it is over, its end is printed:
0 where the act was acknowledged, ``REFUSED`` where it was certainly refused, ``UNCERTAIN`` where it may have happened,
or minus the signal that ended it.
"""

import os
import random
import signal
import sys

from tests.robustness.disk.contents import version_of
from tests.robustness.oracles.acts import (
    Act,
    CreateVersion,
    DeleteModel,
    DeleteVersion,
    ReserveNumbers,
    SaveModel,
    items,
)
from tests.robustness.oracles.promises import Promises
from tests.support.client import data_hash
from twisted_registry.domain.errors import CommitUncertain, RegistryError, StorageFailure, StorageFull, StorageReadOnly
from twisted_registry.domain.models import Chunk, ModelInfo, VersionInfo
from twisted_registry.storage.filesystem.archive import FilesystemArchive

REFUSED = 10
UNCERTAIN = 11

MODEL_ID = "m"
ACTS = ("make", "update", "reserve", "create", "delete", "delete-version")

_RESERVED = 9
_FIRST_SEED = 10**6
"""The seed of the version that exists before an act: not that of any act."""


def chunks(seed: int) -> list[bytes]:
    """
    Return the chunks of a version's data.
    """
    chance = random.Random(seed)
    return [chance.randbytes(chance.randint(1, 5000)) for _ in range(1 + seed % 4)]


def version(number: int, seed: int) -> VersionInfo:
    """
    Describe a version with this data.
    """
    data = b"".join(chunks(seed))
    return VersionInfo(MODEL_ID, number, seed, True, data_hash(data), len(data), {"seed": str(seed)})


def put(archive: FilesystemArchive, number: int, seed: int) -> None:
    """
    Create a version.
    """
    writer = archive.create_version(MODEL_ID)
    try:
        for chunk in chunks(seed):
            writer.write(Chunk(chunk))
        writer.finish()
        writer.commit(version(number, seed))
    finally:
        writer.abort()


def before(act: str, archive: FilesystemArchive, promises: Promises) -> None:
    """
    Create what an act begins with.
    """
    if act == "make":
        return
    archive.save_model(ModelInfo(MODEL_ID, {"a": "old"}))
    put(archive, 1, _FIRST_SEED)
    archive.set_high_water_mark(MODEL_ID, 3)
    first = version_of(version(1, _FIRST_SEED))
    for done in (SaveModel(items({"a": "old"})), CreateVersion(first), ReserveNumbers(3)):
        promises.acknowledge(promises.begin(MODEL_ID, done), first if isinstance(done, CreateVersion) else None)


def described(act: str, seed: int) -> Act:
    """
    Return an act as the promises describe it.
    """
    acts: dict[str, Act] = {
        "create": CreateVersion(version_of(version(4, seed))),
        "reserve": ReserveNumbers(_RESERVED),
        "delete": DeleteModel(),
        "delete-version": DeleteVersion(1),
    }
    return acts.get(act, SaveModel(items({"a": str(seed)})))


def do(act: str, archive: FilesystemArchive, seed: int) -> None:
    """
    Do an act.
    """
    if act == "create":
        put(archive, 4, seed)
    elif act == "reserve":
        archive.set_high_water_mark(MODEL_ID, _RESERVED)
    elif act == "delete":
        archive.delete_model(MODEL_ID)
    elif act == "delete-version":
        archive.delete_version(MODEL_ID, 1)
    else:
        archive.save_model(ModelInfo(MODEL_ID, {"a": str(seed)}))


def _done(act: str, archive: FilesystemArchive, seed: int) -> int:
    try:
        do(act, archive, seed)
    except (StorageFull, StorageReadOnly):
        return REFUSED
    except CommitUncertain:
        return UNCERTAIN
    except StorageFailure:
        return REFUSED if act == "create" else UNCERTAIN
    except RegistryError:
        return 1
    return 0


def _live(root: str, act: str, seed: int) -> None:
    archive = FilesystemArchive(root)
    archive.open()
    print(os.getpid(), flush=True)
    signal.sigwait([signal.SIGUSR1])
    # Nothing but the act itself makes a call between these two.
    os._exit(_done(act, archive, seed))


def main() -> None:
    """
    Make a process for each line.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    for line in sys.stdin:
        root, act, seed = line.split()
        child = os.fork()
        if child == 0:
            _live(root, act, int(seed))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
