"""
Offers the store of L{scratch_store} to the daemon, as C{scratch:FOLDER}.
"""

from twisted_registry.providers import LazyTransientProvider

scratch = LazyTransientProvider("scratch", "scratch_store.ScratchStore")
