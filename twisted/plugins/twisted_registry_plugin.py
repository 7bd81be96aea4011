"""
Twisted plugins: the daemon for twistd, and the built-in storage providers.

Every twistd on the machine imports this module, so it imports next to nothing.
"""

from twisted.application.service import ServiceMaker

from twisted_registry.daemon.providers import LazyArchiveProvider, LazyTransientProvider

model_registry = ServiceMaker(
    "Model registry",
    "twisted_registry.daemon.service",
    "A versioned key-value store for machine-learning models, over gRPC",
    "model-registry",
)

filesystem_archive = LazyArchiveProvider("filesystem", "twisted_registry.storage.filesystem.archive.filesystem_archive")

memory_store = LazyTransientProvider("memory", "twisted_registry.storage.memory.MemoryStore")
