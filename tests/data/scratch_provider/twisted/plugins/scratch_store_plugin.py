"""
The plugin that offers the store of ``scratch_store`` to the daemon, as ``scratch:FOLDER``.
"""

from twisted_registry.daemon.providers import LazyTransientProvider

scratch = LazyTransientProvider("scratch", "scratch_store.ScratchStore")
