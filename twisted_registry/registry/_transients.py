"""
The transient store as the registry uses it.
"""

from collections import deque
from collections.abc import Callable
from functools import partial

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from twisted_registry.interfaces import INonBlocking, IThreads, ITransientStore, ITransientWriter, Rank
from twisted_registry.registry._download import TransientDownload
from twisted_registry.snapshot import ModelSnapshot
from twisted_registry.values import VersionKey

_MOST_TOUCHES = 10_000
_COPY_SHARE = 8


class Transients:
    """
    Ranks what is in the transient store.
    """

    _log = Logger()

    def __init__(self, store: ITransientStore, threads: IThreads) -> None:
        self.store = store
        self.threads = threads
        self._direct = INonBlocking.providedBy(store)
        # Any thread notes a use here; the store hears of them only before it is to choose what to evict.
        self._touched: deque[VersionKey] = deque(maxlen=_MOST_TOUCHES)

    def copy_writer(self, size_bytes: int) -> ITransientWriter | None:
        """
        Give a writer for the copy of an archived version; L{None} where it is too large a share of the budget, or
        where a copy would be no faster than the archive.
        """
        if not self._direct or size_bytes > self.store.max_bytes // _COPY_SHARE:
            return None
        return self.store.create_version()

    def download(self, key: VersionKey) -> TransientDownload:
        """
        Start reading a version.  May be called in any thread.

        @raise UnknownVersion: it was evicted.
        """
        self._touched.append(key)
        download = TransientDownload(key, self.store, self.threads.lane())
        if self._direct:
            download.open()
        return download

    def commit(self, writer: ITransientWriter, key: VersionKey, rank: Rank) -> Deferred[list[VersionKey]]:
        """
        Keep a version, and evict what goes beyond the budget.

        @return: fires with what was evicted.
        """
        touched = [self._touched.popleft() for _ in range(len(self._touched))]

        def commit_after_touches() -> list[VersionKey]:
            self.store.touch(touched)
            return writer.commit(key, rank)

        return self.threads.defer(commit_after_touches)

    def supersede(self, snapshot: ModelSnapshot) -> None:
        """
        A model's latest version is about to be its latest no more.
        """
        transient = snapshot.numbers.transient
        if transient:
            self._do(partial(self.store.set_rank, snapshot.key(transient[-1]), Rank.SUPERSEDED))

    def remove(self, snapshot: ModelSnapshot) -> None:
        """
        Drop all versions of a model.
        """
        self._do(partial(self.store.remove, [snapshot.key(number) for number in snapshot.held]))

    def _do(self, job: Callable[[], None]) -> None:
        deferred: Deferred[None] = self.threads.defer(job)
        deferred.addErrback(lambda failure: self._log.failure("the transient store failed", failure))
