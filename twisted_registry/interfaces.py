"""
The contracts between the rooms.

Storage providers are synchronous and know nothing of reactors or of the wire; C{twisted_registry.threads} makes them
Deferred-returning; the registry holds the policy; the protocol edge talks to L{IRegistry} alone.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from enum import IntEnum
from typing import TypeVar

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from twisted_registry.errors import CorruptModel, CorruptVersion, UnknownModel
from twisted_registry.snapshot import ModelSnapshot
from twisted_registry.values import Chunk, ModelInfo, VersionHeader, VersionInfo, VersionKey

T = TypeVar("T")


# --- Storage: synchronous --------------------------------------------------------------------------------------------


class INonBlocking(Interface):
    """
    Marks a provider none of whose calls ever waits, for a disk, a network or a lock held for long.

    It is called directly, where the caller is; the calls of all others go through threads.
    """


class IChunkSink(Interface):
    """
    Takes a version's data, piece by piece.  Calls come one after the other, though not always from one thread.
    """

    def write(chunk: Chunk) -> None:
        """
        Take the next piece.

        @raise UnknownModel: the model is gone.
        @raise StorageFull: no room.
        @raise StorageReadOnly: the medium takes no writes.
        @raise StorageFailure: the medium failed.
        """

    def abort() -> None:
        """
        Forget all that was written.  Nothing stays.  Never raises; does nothing after another abort, or after a commit
        that succeeded or is uncertain.
        """


class IArchiveWriter(IChunkSink):
    """
    Writes one archived version.
    """

    def finish() -> None:
        """
        All the data is written: bring it to rest (sync it), so that L{commit} is short.

        @raise StorageFull: no room.
        @raise StorageReadOnly: the medium takes no writes.
        @raise StorageFailure: the medium failed.
        """

    def commit(info: VersionInfo) -> None:
        """
        Make the version exist, after L{finish}.  When this returns the version outlives a power cut.

        @param info: the whole truth about the version; its number is above all numbers of the model.

        @raise UnknownModel: the model is gone; the version does not exist.
        @raise NumberTaken: others have brought a version of this number, or a part of one, which stays as it is; this
            version can be committed under a number above C{highest}.
        @raise StorageFull: no room; the version does not exist.
        @raise StorageReadOnly: the medium takes no writes; the version does not exist.
        @raise StorageFailure: the medium failed; the version does not exist.
        @raise CommitUncertain: the medium failed; the version may exist after a restart.
        """


class IArchiveReader(Interface):
    """
    Reads one archived version.  Reading goes on to the end, also when the model is deleted meanwhile.
    """

    def read(size_bytes: int) -> bytes:
        """
        Give the next bytes: exactly as many as asked for, fewer only at the end.

        @raise StorageFailure: the medium failed.
        """

    def close() -> None:
        """
        Let go of the version.  Never raises; may be called twice.
        """


class IModelStore(Interface):
    """
    Keeps models, without their versions.
    """

    def model_ids() -> list[str]:
        """
        Give the ids of all models, damaged ones among them, in any order.  Cheap: ten thousand in a moment.

        @raise StorageFailure: the medium failed.
        """

    def load_model(model_id: str) -> ModelInfo:
        """
        Read a model.

        @raise UnknownModel: there is none.
        @raise CorruptModel: its metadata is damaged or missing.
        @raise StorageFailure: the medium failed.
        """

    def save_model(info: ModelInfo) -> None:
        """
        Make a model, or replace its user data.  Durable when this returns; after a crash there is the old or the new.

        @raise StorageFull: no room; the old one stays.
        @raise StorageReadOnly: the medium takes no writes; the old one stays.
        @raise StorageFailure: the medium failed; there is the old one or the new one.
        """

    def delete_model(model_id: str) -> None:
        """
        Remove a model with all its versions.  Durable when this returns; after a crash it is wholly there or wholly
        gone.  Versions being read can be read to their end.

        @raise UnknownModel: there is none.
        @raise StorageReadOnly: the medium takes no writes; the model stays.
        @raise StorageFailure: the medium failed.
        """


class IVersionStore(Interface):
    """
    Keeps archived versions.
    """

    def version_numbers(model_id: str) -> list[int]:
        """
        Give the numbers of a model's versions, damaged ones among them, rising.

        Drops what a crash left behind of versions that were never committed.

        @raise UnknownModel: there is no such model.
        @raise StorageFailure: the medium failed.
        """

    def load_version(model_id: str, version_number: int) -> VersionInfo:
        """
        Read what is known of a version, and see that data of its size is there.

        @raise CorruptVersion: the version, or a part of it, is damaged or missing.
        @raise UnknownModel: the model is gone, where that can be told.
        @raise StorageFailure: the medium failed.
        """

    def open_version(model_id: str, version_number: int) -> IArchiveReader:
        """
        Start reading a version's data.

        @raise CorruptVersion: its data is missing.
        @raise UnknownModel: the model is gone, where that can be told.
        @raise StorageFailure: the medium failed.
        """

    def create_version(model_id: str) -> IArchiveWriter:
        """
        Start writing a version.  Cheap: nothing touches the medium before the first write.
        """


class INumberReserve(Interface):
    """
    Remembers, for each model, up to which number versions may have been given out, transient ones included.
    """

    def reserved(model_id: str) -> int:
        """
        Give the highest number reserved; 0 where none was.

        @raise StorageFailure: the medium failed.
        """

    def reserve(model_id: str, version_number: int) -> None:
        """
        Remember that numbers up to this one may have been given out, in place of what was remembered.  Durable when
        this returns; goes with the model when that is deleted.

        @raise UnknownModel: there is no such model.
        @raise StorageFull: no room; what was remembered stays.
        @raise StorageReadOnly: the medium takes no writes; what was remembered stays.
        @raise StorageFailure: the medium failed.
        """


class IArchive(IModelStore, IVersionStore, INumberReserve):
    """
    An archive: everything that outlives the process.

    A call that reads fails in one of two ways, and never returns less than there is:

      - L{StorageFailure}, or its subclass L{StorageUnavailable}, where the medium did not give what was asked for: it
        is away, it timed out, access was denied, the process has no descriptor left.  It may pass.  The caller tries
        again, and remembers nothing: no absence, no damage, no empty list.
      - L{CorruptModel} or L{CorruptVersion} where bytes were read and are wrong, or where the medium is sure that a
        part is missing.  That stays until somebody mends it, and lists leave it out.

    Where a medium cannot tell one from the other, such as an error of a disk that may be a bad sector, it is the first.

    Calls come from several threads at once.  For one model, the caller never lets two of L{IModelStore.save_model},
    L{IModelStore.delete_model}, L{INumberReserve.reserve} and L{IArchiveWriter.commit} overlap.
    """

    description: str = Attribute("Where it is, for the log: a path, an address.")

    def open() -> None:
        """
        Take the archive for this process alone, and drop what a crash left behind.

        @raise CannotStart: it is in use, or cannot be used.
        """

    def close() -> None:
        """
        Let go of the archive.
        """


class ILocatedArchive(IArchive):
    """
    An archive at a place that can change under it: a directory can be renamed, removed, unmounted or mounted over.
    Optional.
    """

    def check() -> None:
        """
        Check that the archive is still where it was opened.  Cheap enough to be called before every durable act and
        every second; each call that would store something durably makes this check itself.

        @raise ArchiveMoved: it is not.
        @raise StorageFailure: that cannot be told; the medium failed.
        """

    def missing(model_ids: Sequence[str]) -> list[str]:
        """
        Return those of some models that have no folder any more: others removed it.  Cheap where nothing has come to
        the archive or left it since this was asked last.

        @raise StorageUnavailable: that cannot be told now.
        """


@frozen
class ArchiveIdentity:
    """
    Which archive it is.

    @ivar archive_id: tells the archive from all others, wherever it is moved; empty where it has no id, C{None} where
        it has one that cannot be read.
    @ivar is_new: the archive was made when it was opened.
    @ivar restores: how often its numbers were raised after a backup was restored.
    """

    archive_id: str | None = ""
    is_new: bool = False
    restores: int = 0


@define
class Standing:
    """
    What is known of the archive as a whole.  Changed in the reactor's thread; may be read in any.

    @ivar identity: which archive it is.
    @ivar trouble: why it cannot be used; empty where it can.
    """

    identity: ArchiveIdentity = field(factory=ArchiveIdentity)
    trouble: str = ""


class IIdentifiableArchive(Interface):
    """
    An archive that knows which one it is.  Optional, beside L{IArchive}.
    """

    def expect_existing() -> None:
        """
        Let L{IArchive.open} fail with L{CannotStart}, and make nothing, where there is no archive yet.  Called before
        it.
        """

    def identity() -> ArchiveIdentity:
        """
        Return which archive it is.  Called after L{IArchive.open}; never blocks.
        """


class IOwnedArchive(Interface):
    """
    An archive that another machine could take while this process has it, unless the claim to it is renewed.  Optional,
    beside L{IArchive}.
    """

    renew_seconds: float = Attribute("How often L{renew} is to be called.")

    def renew() -> None:
        """
        Renew this process's claim.

        @raise ArchiveTaken: another process has taken the archive; nothing is stored any more.
        @raise StorageFailure: that cannot be told; the medium failed.
        """


class Rank(IntEnum):
    """
    What is evicted first: lower ranks before higher ones, and within a rank the least recently used.

    So the latest version of each model stays before a second one of any other, however many that publishes, whether
    items or bytes are short.
    """

    COPY = 0
    """A copy of an archived version: it can be read again."""

    SUPERSEDED = 1
    """A transient version that is not its model's latest."""

    LATEST = 2
    """A transient version that is its model's latest."""


class ITransientWriter(IChunkSink):
    """
    Writes one version into a transient store.
    """

    def commit(key: VersionKey, rank: Rank) -> list[VersionKey]:
        """
        Keep the version under a key, and evict what goes beyond the budget: perhaps this very version.

        @return: what was evicted.
        """


class ITransientReader(Interface):
    """
    Reads one version of a transient store.  Reading goes on to the end, also when the version is evicted meanwhile.
    """

    def read() -> Chunk | None:
        """
        Give the next chunk, just as it was written; C{None} after the last.

        @raise StorageFailure: the medium failed.
        """

    def close() -> None:
        """
        Let go of the version.  Never raises; may be called twice.
        """


@frozen
class Usage:
    """
    How much a transient store holds.
    """

    items: int
    size_bytes: int


class ITransientStore(Interface):
    """
    Keeps versions for the time of this process, within a budget of items and bytes.

    Calls come from several threads at once.  L{usage} and L{has_room} never block, whatever the store.
    """

    max_bytes: int = Attribute("The budget in bytes.")

    def create_version() -> ITransientWriter:
        """
        Start writing a version.
        """

    def open_version(key: VersionKey) -> ITransientReader:
        """
        Start reading a version.

        @raise KeyError: it is not held.
        """

    def set_rank(key: VersionKey, rank: Rank) -> None:
        """
        Change how early a version goes.  Does nothing where it is not held.
        """

    def touch(keys: Sequence[VersionKey]) -> None:
        """
        Note that versions were used, in this order.  Passes over what is not held.
        """

    def remove(keys: Sequence[VersionKey]) -> None:
        """
        Drop versions.  Passes over what is not held.
        """

    def usage() -> Usage:
        """
        Give what is held now.
        """

    def has_room(size_bytes: int, rank: Rank) -> bool:
        """
        Tell whether a version, were it kept now, would stay: whether there is room, or what may go for it.
        """


# --- Providers: how plugins offer storage ----------------------------------------------------------------------------


@frozen
class TransientBudget:
    """
    What a transient store may hold.

    @ivar max_items: most versions, at least 1.
    @ivar max_bytes: most bytes of data, at least 1.
    """

    max_items: int
    max_bytes: int


@frozen
class Limits:
    """
    The bounds on what clients can make the server hold.

    @ivar version_max_bytes: the largest version taken; 0 for no limit.
    @ivar uploads_max_bytes: most data of uploads under way that is in memory.
    @ivar uploads_wait_seconds: how long an upload may wait for its share of that.
    @ivar upload_idle_seconds: how long a call may bring nothing of what it has yet to bring.
    @ivar downloads_max_bytes: most data that may be on its way to readers.
    @ivar download_idle_seconds: how long a reader may need for a chunk, while others wait for their share.
    @ivar keepalive_seconds: how long a connection may be silent before the server asks whether there is anybody.
    """

    version_max_bytes: int
    uploads_max_bytes: int
    uploads_wait_seconds: float
    upload_idle_seconds: float
    downloads_max_bytes: int
    download_idle_seconds: float
    keepalive_seconds: float


@frozen
class ClientLimits:
    """
    How many clients there may be, and how much each may do at once.

    @ivar connections_max: most connections.
    @ivar calls_per_connection_max: most calls at once on one connection.
    @ivar calls_per_client_max: most calls at once from one address.
    @ivar calls_max: most calls at once.
    """

    connections_max: int
    calls_per_connection_max: int
    calls_per_client_max: int
    calls_max: int


class IArchiveProvider(Interface):
    """
    A plugin that makes archives from descriptions such as C{filesystem:/data}.
    """

    name: str = Attribute("The part of the description before the first colon.")

    def create_archive(*arguments: str, **options: str) -> IArchive:
        """
        Make an archive, not opened yet.  Touches nothing.

        @param arguments: the parts of the description after the name, as between colons.
        @param options: those parts that have the form C{name=value}.

        @raise CannotStart: the description makes no sense.
        """


class ITransientProvider(Interface):
    """
    A plugin that makes transient stores from descriptions such as C{memory}.
    """

    name: str = Attribute("The part of the description before the first colon.")

    def create_transient_store(budget: TransientBudget, *arguments: str, **options: str) -> ITransientStore:
        """
        Make a transient store.  Touches nothing.

        @param arguments: the parts of the description after the name, as between colons.
        @param options: those parts that have the form C{name=value}.

        @raise CannotStart: the description makes no sense.
        """


# --- Threads ---------------------------------------------------------------------------------------------------------


class ILane(Interface):
    """
    Runs jobs one after the other in threads of a pool.  A lane that has nothing to do holds no thread.
    """

    def submit(job: Callable[[], T], size_bytes: int) -> Future[T]:
        """
        Run a job after all those submitted before.  May be called in any thread.

        @param size_bytes: how many bytes the job works on; a small job that cannot block may be run on the spot.

        @return: fires with what the job returns, or fails with what it raises, in any thread.
        """


class IThreads(Interface):
    """
    Where the calls of a provider run: in a pool's threads, or directly if it never blocks.
    """

    def defer(job: Callable[[], T]) -> Deferred[T]:
        """
        Run a job.  Called in the reactor's thread.

        @return: fires with what the job returns, or fails with what it raises, in the reactor's thread.
        """

    def lane() -> ILane:
        """
        Make a lane.  May be called in any thread.
        """


# --- The registry ----------------------------------------------------------------------------------------------------


class ICutter(Interface):
    """
    Puts the data of one version into the form in which it is kept in memory and sent.
    """

    def add(data: memoryview) -> Iterator[Chunk]:
        """
        Take the next piece, and give the chunks that are full with it.  To be read to its end.
        """

    def rest() -> Iterator[Chunk]:
        """
        Give what is left; an empty chunk where there was no data at all.
        """


class IUpload(Interface):
    """
    A version on its way in.  May be used in any thread, by one caller at a time.
    """

    header: VersionHeader = Attribute("What the creator declared.")
    held_bytes: int = Attribute("How much of the data stays in memory until the upload is over.")

    def write(piece: Chunk) -> Future[None]:
        """
        Take the next piece of data, of any size.

        @return: fires when it is stored and hashed; fails with L{StorageFull}, L{StorageReadOnly} or
            L{StorageFailure}.
        """

    def finish() -> Future[None]:
        """
        All the data has come.

        @return: fires when it is at rest and only the commit is missing; fails with L{HashMismatch}, or as L{write}.
        """

    def commit() -> Deferred[VersionInfo]:
        """
        Give the version its number and make it exist, after L{finish}.  Called in the reactor's thread.

        @return: fires when the version can be seen, and is durable if archived; fails with L{ModelReplaced},
            L{UnknownModel}, L{NumbersExhausted}, L{StorageFull}, L{StorageReadOnly} or L{StorageFailure}, and then
            nothing stays, or with L{CommitUncertain}, and then it may be there after a restart.
        """

    def abort() -> None:
        """
        Forget the version, after the jobs under way.  Does nothing once it is committed.
        """


class IDownload(Interface):
    """
    A version on its way out.  May be used in any thread, by one caller at a time.
    """

    def at_once() -> Iterator[Chunk] | None:
        """
        Give the chunks, where they are in memory and none has to be waited for: then there is no need to L{read}.

        @return: C{None} where they have to be waited for.
        """

    def read() -> Future[Chunk | None]:
        """
        Give the next chunk.

        @return: fires with a chunk, the last one only once the hash of all has matched, then with C{None}; fails
            with L{CorruptVersion}, with L{UnknownModel} or L{UnknownVersion} where it went meanwhile, or with
            L{StorageFailure}.
        """

    def digest() -> str:
        """
        Give the XXH3-128 of the data in hexadecimal, once all of it was given: of bytes whose hash has matched.

        @return: empty where it is not known.
        """

    def close() -> None:
        """
        Let go of the version, after the jobs under way.
        """


class IObserver(Interface):
    """
    Is told when a model changes.
    """

    def changed(model_id: str) -> None:
        """
        A new snapshot of the model is published, or the model is gone.  Called in the reactor's thread.
        """


class ISnapshots(Interface):
    """
    The part of the registry that any thread may call, and that answers at once.
    """

    def snapshot(model_id: str) -> ModelSnapshot | None:
        """
        Give the model as it is now; C{None} where it is not read from the archive yet.

        @raise UnknownModel: there is none.
        """

    def version_info(snapshot: ModelSnapshot, version_number: int) -> VersionInfo | None:
        """
        Give a version's info from memory; C{None} where it is not there.
        """

    def model_info(model_id: str) -> ModelInfo | None:
        """
        Give a model's info from memory; C{None} where it is not there.

        @raise UnknownModel: there is none.
        """

    def model_ids() -> tuple[str, ...] | None:
        """
        Give the ids of all models that are whole, ordered; C{None} where the archive was not surveyed yet.
        """

    def upload(header: VersionHeader, snapshot: ModelSnapshot) -> IUpload:
        """
        Start creating a version.

        @raise TooLarge: it can never be held.
        """

    def download(snapshot: ModelSnapshot, info: VersionInfo) -> IDownload:
        """
        Start reading a version.

        @raise UnknownVersion: it was evicted meanwhile.
        """

    def usage() -> Usage:
        """
        Give what the transient store holds now.
        """

    def evicted_latest() -> int:
        """
        Return how often, since the start, a version was evicted that was its model's latest, and is nowhere else.
        """

    def went_back(model_id: str, seen: int) -> bool:
        """
        Return whether the model is in an earlier state than one that a client has seen: it was on the archive when that
        was opened, and has not given this number yet.

        @param seen: the highest number that the client has seen.

        @raise UnknownModel: there is none.
        """


class IRegistry(ISnapshots):
    """
    The registry: models, their versions, and the policy.  What L{ISnapshots} does not declare is called in the
    reactor's thread.
    """

    def open() -> None:
        """
        Open the archive.  Blocks.

        @raise CannotStart: it is in use, or cannot be used.
        """

    def close() -> Deferred[None]:
        """
        Finish what is under way and close the archive.

        @return: fires when that is done.
        """

    def observe(observer: IObserver) -> None:
        """
        Tell an observer of every change from now on.
        """

    def load_snapshot(model_id: str) -> Deferred[ModelSnapshot]:
        """
        Read a model's versions from the archive.

        @return: fires with the model as it is then; fails with L{UnknownModel}, L{CorruptModel} or
            L{StorageFailure}.
        """

    def load_version_infos(
        snapshot: ModelSnapshot, version_numbers: Sequence[int]
    ) -> Deferred[list[VersionInfo | CorruptVersion]]:
        """
        Read infos of archived versions.

        @return: fires with as many entries as numbers: an info, or how it is damaged; fails with L{UnknownModel}
            where the model is gone meanwhile, or with L{StorageFailure}.
        """

    def load_model_infos(model_ids: Sequence[str]) -> Deferred[list[ModelInfo | CorruptModel | UnknownModel]]:
        """
        Read models' infos from the archive.

        @return: fires with as many entries as ids: an info, how it is damaged, or that it is gone meanwhile; fails
            with L{StorageFailure}.
        """

    def check_archive() -> Deferred[None]:
        """
        Check that the archive is still where it was opened, and that no model's folder was removed, if it can tell
        (L{ILocatedArchive}).  Logs a failure at once and then once a minute, and that the archive is back; logs each
        model that is gone.  Cheap: for a periodic health check.

        @return: fires when it is; fails with L{ArchiveMoved} or L{StorageFailure}.
        """

    def survey() -> Deferred[tuple[str, ...]]:
        """
        Read all models once, to know which are whole.

        @return: fires with the ids of those, ordered; fails with L{StorageFailure}.
        """

    def note_seen(snapshot: ModelSnapshot, version_number: int) -> Deferred[None]:
        """
        Note what a client has seen of a model that went back to an earlier state, as where a backup was restored: the
        next version gets a higher number.

        @return: fires when that is sure, or cannot be done; never fails.
        """

    def save_model(info: ModelInfo) -> Deferred[None]:
        """
        Make a model, or replace its user data.

        @return: fires when it is durable; fails with L{StorageFull}, L{StorageReadOnly} or L{StorageFailure}.
        """

    def delete_model(model_id: str) -> Deferred[None]:
        """
        Remove a model and all its versions.

        @return: fires when that is durable; fails with L{UnknownModel}, L{StorageReadOnly} or L{StorageFailure}.
        """
