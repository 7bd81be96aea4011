"""
The idempotency keys of creations, and the versions that were made with them.
"""

from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from attrs import evolve, frozen
from twisted.internet.defer import Deferred

from twisted_registry.contracts.idempotency import StoredKey
from twisted_registry.domain.errors import InvalidRequest, shown
from twisted_registry.domain.events import ModelDeleted, VersionDeleted
from twisted_registry.domain.idempotency import KEY_SECONDS, check_same_creation, transient_key_sha256, version_facts
from twisted_registry.domain.models import VersionHeader, VersionInfo, VersionKey
from twisted_registry.domain.snapshot import ModelSnapshot
from twisted_registry.registry.loading import Loader
from twisted_registry.registry.models import Model
from twisted_registry.registry.state import State, info_size_bytes
from twisted_registry.registry.uploads import Upload

T = TypeVar("T")

MAX_KEYS = 100_000
MAX_KEY_BYTES = 32 * 1024 * 1024
_ENTRY_BYTES = 600
"""The approximate memory for a key, without its version's info."""

_REMOVED_AT_ONCE = 64
"""The number of keys removed from the archive in one job."""

_KEYS_AT_ONCE = 500
"""The number of keys that the reactor's thread adds or forgets before it does other work: some milliseconds."""


@frozen
class _Entry:
    """
    The version that was made with a key.

    Attributes:
        committed_seconds: when that was, in seconds since the Unix epoch.
        info: a transient version; ``None`` for an archived one, which is read again if it is needed.
        stored: the key on the archive; ``None`` if it is only in memory.
        was_transient: whether it was created transient, and archived later.
    """

    key: VersionKey
    committed_seconds: int
    info: VersionInfo | None
    stored: StoredKey | None
    was_transient: bool = False

    @property
    def size_bytes(self) -> int:
        """
        The approximate memory for the entry.
        """
        return _ENTRY_BYTES + (0 if self.info is None else info_size_bytes(self.info.metadata))

    def is_of(self, info: VersionInfo) -> bool:
        """
        Return whether a version is the one that was made with the key, and not another with its number.
        """
        return self.stored is None or self.stored.facts == version_facts(info)

    def created(self, info: VersionInfo) -> VersionInfo:
        """
        Return the version's info as it was when it was created.
        """
        return evolve(info, archived=False) if self.was_transient else info


class CreationKeys:
    """
    The keys of a day and the versions that were made with them, within a bound of entries and bytes; if there are more,
    the oldest are forgotten first.  Changed in the reactor's thread; any thread may look up a key.

    The keys of a model's archived versions are read from the archive when a creation in that model first has a key: to
    read them takes as long as to list the model's versions, and readers need none.  Until then, the same key can be
    used for another model without an error.
    """

    def __init__(
        self,
        state: State,
        loader: Loader,
        now_ns: Callable[[], int],
        background: Callable[[Coroutine[Deferred[Any], Any, None]], object],
        max_keys: int = MAX_KEYS,
        max_bytes: int = MAX_KEY_BYTES,
    ) -> None:
        """

        Args:
            now_ns: returns the time in nanoseconds since the Unix epoch.
            background: runs a coroutine that has to end before the archive is closed.
            max_keys: the largest number of keys in memory.
            max_bytes: the most memory for them.
        """
        self._state = state
        self._loader = loader
        self._now_ns = now_ns
        self._background = background
        self._max_keys = max_keys
        self._max_bytes = max_bytes
        self._entries: dict[str, _Entry] = {}
        # The keys of each model, by incarnation, and of each of its versions, which are almost never more than one.
        self._by_model: dict[int, dict[int, tuple[str, ...]]] = {}
        self._size_bytes = 0
        self._committing: dict[str, list[str]] = {}
        self._stale: list[tuple[str, StoredKey]] = []
        state.coordination.subscribe(self._model_deleted, ModelDeleted)
        state.coordination.subscribe(self._version_deleted, VersionDeleted)

    def now_seconds(self) -> int:
        """
        Return the time in seconds since the Unix epoch.
        """
        return self._now_ns() // 10**9

    # Looking up, in any thread

    def created(self, header: VersionHeader, snapshot: ModelSnapshot, key_sha256: str) -> VersionInfo | None:
        """
        See ``ISnapshots.created``.
        """
        entry = self._find(key_sha256)
        if entry is None:
            return None
        info = entry.info
        if entry.key.model_id != header.model_id:
            self._check_model(header.model_id, entry.key)
        elif info is None and entry.key.incarnation == snapshot.incarnation:
            info = self._state.version_info(snapshot, entry.key.version_number)
        if info is None or not entry.is_of(info):
            return None
        check_same_creation(header, header.sha256, entry.created(info))
        return info if header.sha256 else None

    def may_be_created(self, snapshot: ModelSnapshot, key_sha256: str) -> bool:
        """
        See ``ISnapshots.may_be_created``.
        """
        model = self._state.current(snapshot.model_id, snapshot.incarnation)
        return (model is not None and not self._are_loaded(model)) or self._find(key_sha256) is not None

    def _are_loaded(self, model: Model) -> bool:
        return model.are_keys_loaded or not model.was_found

    def _find(self, key_sha256: str) -> _Entry | None:
        entry = self._find_listed(key_sha256)
        if entry is None:
            entry = self._find_listed(transient_key_sha256(key_sha256))
            entry = None if entry is None else evolve(entry, was_transient=True)
        return None if entry is None or self._is_expired(entry.committed_seconds) else entry

    def _find_listed(self, key_sha256: str) -> _Entry | None:
        entry = self._entries.get(key_sha256)
        return entry if entry is not None and self._is_listed(entry.key, key_sha256) else None

    def _is_listed(self, version: VersionKey, key_sha256: str) -> bool:
        # If not, the model was deleted or lost, and its entries are being forgotten.  A lost model may be back already.
        return key_sha256 in self._by_model.get(version.incarnation, {}).get(version.version_number, ())

    def _is_expired(self, committed_seconds: int) -> bool:
        # A clock that was set back must not make a key last for years.
        return abs(self.now_seconds() - committed_seconds) >= KEY_SECONDS

    def _check_model(self, model_id: str, known: VersionKey) -> None:
        if known.model_id != model_id:
            raise InvalidRequest(
                f"the idempotency key was used before for version {known.version_number} of model "
                f"{shown(known.model_id)}, and this is model {shown(model_id)}; use a new key for each version"
            )

    # Committing, in the reactor's thread

    def begin(self, upload: Upload) -> None:
        """
        Begin a commit with a key, and keep the key from being used for another model until ``end``.

        Raises:
            InvalidRequest: a creation in another model is being committed with the same key.
        """
        key_sha256, model_id = upload.key_sha256, upload.header.model_id
        model_ids = self._committing.setdefault(key_sha256, [])
        if any(other != model_id for other in model_ids):
            raise InvalidRequest(
                f"the idempotency key is being used for model {shown(model_ids[0])}; use a new key for each version"
            )
        model_ids.append(model_id)

    def end(self, upload: Upload) -> None:
        """
        End a commit with a key.
        """
        model_ids = self._committing[upload.key_sha256]
        model_ids.remove(upload.header.model_id)
        if not model_ids:
            del self._committing[upload.key_sha256]

    async def find_committed(
        self, model: Model, header: VersionHeader, sha256: str, key_sha256: str
    ) -> VersionInfo | None:
        """
        Return the version that an earlier creation with the same key made; ``None`` if there is none.  The caller owns
        the model.

        Args:
            header: the header of this creation.
            sha256: the SHA-256 of its data in standard base64.

        Raises:
            InvalidRequest: that creation was not the same.
            CorruptVersion: the version is damaged.
            StorageFailure: the version or the model's keys cannot be read.
        """
        entry, info = await self._find_version(model, key_sha256)
        if entry is not None and info is not None:
            check_same_creation(header, sha256, entry.created(info))
        return info

    async def find_version(self, model: Model, key_sha256: str) -> VersionInfo | None:
        """
        Return the version that was made with a key; ``None`` if there is none.  The caller owns the model.

        Raises:
            InvalidRequest: the version is of another model.
            CorruptVersion: the version is damaged.
            StorageFailure: the version or the model's keys cannot be read.
        """
        _, info = await self._find_version(model, key_sha256)
        return info

    async def _find_version(self, model: Model, key_sha256: str) -> tuple[_Entry | None, VersionInfo | None]:
        if not self._are_loaded(model):
            await self._load(model)
        entry = self._find(key_sha256)
        if entry is None:
            return None, None
        self._check_model(model.model_id, entry.key)
        info = entry.info or await self._archived(model, entry)
        if info is None:
            self._forget(key_sha256 if key_sha256 in self._entries else transient_key_sha256(key_sha256))
        return entry, info

    async def _archived(self, model: Model, entry: _Entry) -> VersionInfo | None:
        number = entry.key.version_number
        if number not in model.loaded.numbers:
            return None
        info = self._state.version_info(model.loaded, number)
        if info is None:
            (result,) = await self._loader.version_infos(model.loaded, [number])
            if not isinstance(result, VersionInfo):
                raise result
            info = result
        return info if entry.is_of(info) else None

    async def _load(self, model: Model) -> None:
        stored = await self._state.executor.defer(partial(self._stored_in_order, model.model_id))
        for keys in _pieces(stored):
            entries = await self._state.executor.defer(partial(self._entries_of, model.loaded, keys))
            for key in keys:
                if key in entries:
                    self._add(key.key_sha256, entries[key])
                else:
                    self._stale.append((model.model_id, key))
        model.are_keys_loaded = True
        self._remove_stale()

    def _entries_of(self, snapshot: ModelSnapshot, keys: Sequence[StoredKey]) -> Mapping[StoredKey, _Entry]:
        # Called in the archive's thread.
        return {
            key: _Entry(snapshot.key(key.version_number), key.committed_seconds, None, key)
            for key in keys
            if key.version_number in snapshot.numbers and not self._is_expired(key.committed_seconds)
        }

    def _stored_in_order(self, model_id: str) -> list[StoredKey]:
        stored = self._state.archive.stored_keys(model_id)
        return sorted(stored, key=lambda key: (key.committed_seconds, key.version_number))

    def add(self, upload: Upload, key: VersionKey, info: VersionInfo, now_seconds: int) -> None:
        """
        Remember the version that a creation made.
        """
        stored = None
        if info.archived and self._state.archive.is_keyed:
            stored = StoredKey(upload.key_sha256, info.version_number, now_seconds, version_facts(info))
        self._add(upload.key_sha256, _Entry(key, now_seconds, None if info.archived else info, stored))
        if len(self._stale) >= _REMOVED_AT_ONCE:
            self._remove_stale()

    def key_to_archive(self, key: VersionKey) -> tuple[str, int] | None:
        """
        Return the key of a transient version as it is stored when the version is archived, and when that was created,
        in seconds since the Unix epoch; ``None`` if it has no key.
        """
        for key_sha256 in self._by_model.get(key.incarnation, {}).get(key.version_number, ()):
            entry = self._entries[key_sha256]
            if not self._is_expired(entry.committed_seconds):
                return transient_key_sha256(key_sha256), entry.committed_seconds
        return None

    def note_archived(self, key: VersionKey, info: VersionInfo) -> None:
        """
        Note that a transient version is archived, with its key if the archive stores keys.
        """
        for key_sha256 in self._by_model.get(key.incarnation, {}).get(key.version_number, ()):
            before = self._entries[key_sha256]
            stored = None
            if self._state.archive.is_keyed and not self._is_expired(before.committed_seconds):
                transient = transient_key_sha256(key_sha256)
                stored = StoredKey(transient, key.version_number, before.committed_seconds, version_facts(info))
            entry = evolve(before, info=None, stored=stored, was_transient=True)
            self._entries[key_sha256] = entry
            self._size_bytes += entry.size_bytes - before.size_bytes

    def _add(self, key_sha256: str, entry: _Entry) -> None:
        before = self._entries.get(key_sha256)
        # The same one is added again if the keys could not be read to the end before.
        self._forget(key_sha256, is_stored=before is not None and before.stored != entry.stored)
        self._entries[key_sha256] = entry
        of_model = self._by_model.setdefault(entry.key.incarnation, {})
        number = entry.key.version_number
        of_model[number] = (*of_model.get(number, ()), key_sha256)
        self._size_bytes += entry.size_bytes
        while self._entries:
            oldest = next(iter(self._entries))
            is_over = len(self._entries) > self._max_keys or self._size_bytes > self._max_bytes
            if not (is_over or self._is_expired(self._entries[oldest].committed_seconds)):
                return
            self._forget(oldest)

    # Forgetting

    def _forget(self, key_sha256: str, *, is_stored: bool = True) -> None:
        entry = self._entries.pop(key_sha256, None)
        if entry is None:
            return
        self._size_bytes -= entry.size_bytes
        if not self._is_listed(entry.key, key_sha256):
            return  # the archive deletes the keys of a deleted model, and a lost one keeps them
        self._unlist(entry.key, key_sha256)
        if is_stored and entry.stored is not None:
            self._stale.append((entry.key.model_id, entry.stored))

    def _unlist(self, version: VersionKey, key_sha256: str) -> None:
        of_model = self._by_model[version.incarnation]
        left = tuple(other for other in of_model[version.version_number] if other != key_sha256)
        if left:
            of_model[version.version_number] = left
            return
        del of_model[version.version_number]
        if not of_model:
            del self._by_model[version.incarnation]

    def _remove_stale(self) -> None:
        stale, self._stale = self._stale, []
        if stale:
            self._background(self._remove(stale))

    async def _remove(self, stale: Iterable[tuple[str, StoredKey]]) -> None:
        by_model: dict[str, list[StoredKey]] = {}
        for model_id, key in stale:
            by_model.setdefault(model_id, []).append(key)
        for model_id, keys in by_model.items():
            await self._state.executor.defer(partial(self._state.archive.remove_keys, model_id, keys))

    # The archive deletes the keys of a version and of a model with them.

    def _model_deleted(self, event: ModelDeleted) -> None:
        of_model = self._by_model.pop(event.incarnation, None)  # from now on none of them is found
        if of_model:
            self._background(self._forget_all([key for keys in of_model.values() for key in keys], event.incarnation))

    async def _forget_all(self, keys: Sequence[str], incarnation: int) -> None:
        for piece in _pieces(keys):
            for key_sha256 in piece:
                entry = self._entries.get(key_sha256)
                # If it is listed, it was used again since, or read again with a lost model that is back.
                if (
                    entry is not None
                    and entry.key.incarnation == incarnation
                    and not self._is_listed(entry.key, key_sha256)
                ):
                    self._forget(key_sha256)
            await self._state.executor.defer(_do_nothing)

    def _version_deleted(self, event: VersionDeleted) -> None:
        of_model = self._by_model.get(event.key.incarnation, {})
        for key_sha256 in of_model.get(event.key.version_number, ()):
            self._forget(key_sha256, is_stored=False)


def _pieces(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[start : start + _KEYS_AT_ONCE] for start in range(0, len(items), _KEYS_AT_ONCE))


def _do_nothing() -> None:
    # Other work of the reactor's thread goes on until this has returned.
    pass
