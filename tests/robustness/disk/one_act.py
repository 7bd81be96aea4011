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

from tests.robustness.disk.contents import stored_annotations, stored_move, stored_retention, version_of
from tests.robustness.oracles.acts import (
    Act,
    Annotate,
    ArchiveVersion,
    CommitVersion,
    CreateVersion,
    DeleteModel,
    DeleteVersion,
    Items,
    Move,
    MoveAlias,
    ReserveNumbers,
    SaveModel,
    SetRetention,
    items,
)
from tests.robustness.oracles.promises import Promises
from tests.robustness.wire.lifecycle_calls import some_annotations
from tests.support.client import data_hash
from twisted_registry.contracts.lifecycle import ILifecycleWriter
from twisted_registry.domain.errors import CommitUncertain, RegistryError, StorageFailure, StorageFull, StorageReadOnly
from twisted_registry.domain.models import Chunk, ModelInfo, VersionInfo
from twisted_registry.storage.filesystem.archive import FilesystemArchive

REFUSED = 10
UNCERTAIN = 11

MODEL_ID = "m"
ACTS = (
    *("make", "update", "reserve", "create", "delete"),
    *("delete-version", "promote", "annotate", "move-alias", "create-named", "set-retention"),
)

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


def put(archive: FilesystemArchive, number: int, seed: int, act: str = "create") -> None:
    """
    Create a version, archive a transient one, or create one with labels, metrics and aliases.
    """
    writer = ILifecycleWriter(archive.create_version(MODEL_ID))
    try:
        for chunk in chunks(seed):
            writer.write(Chunk(chunk))
        writer.finish()
        if act == "promote":
            writer.commit_between(version(number, seed))
            return
        if act == "create-named":
            writer.set_annotations(stored_annotations(_annotations(seed)))
            writer.set_alias_moves([stored_move(_move(number, seed))])
        writer.commit(version(number, seed))
    finally:
        writer.abort()


def _annotations(seed: int) -> Items:
    return some_annotations(str(seed), float(seed))


def _move(number: int, seed: int) -> Move:
    return Move(2, "best", 1, number, str(seed))


_FIRST_MOVE = Move(1, "best", 0, 1, "first")


def before(act: str, seed: int, archive: FilesystemArchive, promises: Promises) -> None:
    """
    Create what an act begins with.
    """
    if act == "make":
        return
    archive.save_model(ModelInfo(MODEL_ID, {"a": "old"}))
    put(archive, 1, _FIRST_SEED)
    archive.set_high_water_mark(MODEL_ID, 3)
    first = version_of(version(1, _FIRST_SEED))
    acts: list[Act] = [SaveModel(items({"a": "old"})), CreateVersion(first), ReserveNumbers(3)]
    if act == "promote":
        # Version 2 is transient, and version 3 is above it.
        put(archive, 3, _FIRST_SEED + 1)
        transient = version_of(version(2, seed))._replace(archived=False)
        acts[2:2] = [CreateVersion(transient), CreateVersion(version_of(version(3, _FIRST_SEED + 1)))]
    if act in ("move-alias", "create-named"):
        archive.append_alias_moves(MODEL_ID, [stored_move(_FIRST_MOVE)])
        acts.append(MoveAlias("best", 1, "first"))
    for done in acts:
        promises.acknowledge(promises.begin(MODEL_ID, done), done.version if isinstance(done, CreateVersion) else None)


def described(act: str, seed: int) -> Act:
    """
    Return an act as the promises describe it.
    """
    acts: dict[str, Act] = {
        "create": CreateVersion(version_of(version(4, seed))),
        "reserve": ReserveNumbers(_RESERVED),
        "delete": DeleteModel(),
        "delete-version": DeleteVersion(1),
        "promote": ArchiveVersion(2),
        "annotate": Annotate(1, _annotations(seed)),
        "move-alias": MoveAlias("best", 0, str(seed)),
        "set-retention": SetRetention(1 + seed),
        "create-named": CommitVersion(version_of(version(4, seed)), _annotations(seed), (_move(4, seed),)),
    }
    return acts.get(act, SaveModel(items({"a": str(seed)})))


def do(act: str, archive: FilesystemArchive, seed: int) -> None:
    """
    Do an act.
    """
    if act in ("create", "create-named"):
        put(archive, 4, seed, act)
    elif act == "promote":
        put(archive, 2, seed, act)
    elif act == "annotate":
        archive.save_annotations(MODEL_ID, 1, stored_annotations(_annotations(seed)))
    elif act == "move-alias":
        archive.append_alias_moves(MODEL_ID, [stored_move(_move(0, seed))])
    elif act == "set-retention":
        archive.save_retention(MODEL_ID, stored_retention(1 + seed))
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
        return REFUSED if act in ("create", "create-named", "promote") else UNCERTAIN
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
