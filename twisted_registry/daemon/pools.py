"""
The daemon's pools of threads.
"""

import os

from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.threadpool import ThreadPool

from twisted_registry.execution import TalliedPool

_STORAGE_THREADS = 10
"""How many threads call a provider if its description does not set ``threads``."""


class Pools:
    """
    Separate pools: a disk on which all threads wait does not delay the other provider, nor hashing in memory.

    Attributes:
        threads: all of them.
        sizes: the pools by name, each with the most threads that it has.
        archive: calls the archive.
        transient: calls the transient store.
        hashing: computes hashes.
        searching: searches; a single thread, because searches do little but compute.
        access: reads the files of access control; a single thread.
        issuers: reads and fetches the keys of issuers; two threads, so that one issuer does not delay all others.
        rendering: writes out the metrics; a single thread.
        deliveries: reads and writes the journal of deliveries; a single thread.
        checking: renews the claim in one thread, checks the location in another, probes whether it can be written
            in a third, and reads its size and the space on its disk in two more, even if all others are blocked.
    """

    def __init__(
        self, reactor: IReactorFromThreads, archive_threads: int | None = None, transient_threads: int | None = None
    ) -> None:
        """

        Args:
            archive_threads: the most threads that call the archive; ``None`` for the default.
            transient_threads: the most threads that call the transient store; ``None`` for the default.
        """
        self._reactor = reactor
        self.threads: list[ThreadPool] = []
        self.sizes: dict[str, tuple[TalliedPool, int]] = {}
        self.archive = self._add("archive", archive_threads or _STORAGE_THREADS)
        self.transient = self._add("transient", transient_threads or _STORAGE_THREADS)
        self.hashing = self._add("hashing", os.cpu_count() or 1)
        self.searching = self._add("searching", 1)
        self.checking = self._add("checking", 5)
        self.access = self._add("access", 1)
        self.issuers = self._add("issuers", 2)
        self.rendering = self._add("rendering", 1)
        self.deliveries = self._add("deliveries", 1)

    def _add(self, name: str, threads: int) -> TalliedPool:
        pool = ThreadPool(minthreads=0, maxthreads=threads, name=name)
        self.threads.append(pool)
        tallied = TalliedPool(self._reactor, pool)
        self.sizes[name] = tallied, threads
        return tallied

    def start(self) -> None:
        """
        Start all pools.
        """
        for pool in self.threads:
            pool.start()

    def stop(self) -> None:
        """
        Stop all pools, once their threads are done.
        """
        for pool in self.threads:
            pool.stop()
