"""
Offers the store of L{scratch_store} to the daemon, as C{scratch:FOLDER}.
"""

from twisted_registry.daemon.providers import LazyTransientProvider

scratch = LazyTransientProvider("scratch", "scratch_store.ScratchStore")
