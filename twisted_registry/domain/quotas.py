"""
Quotas: how much of the registry some callers, or some models, may use.
"""

from attrs import frozen

from twisted_registry.domain.access import EVERYTHING, Scope


@frozen(cache_hash=True)
class Quota:
    """
    The limits of some callers or of some models.

    Attributes:
        name: names it in errors.
        subjects: the callers whose calls count, each a subject or a prefix that ends with ``*``; empty for all callers.
        scopes: the models that count; empty for all models.
        is_shared: whether the rates are those of all callers together; otherwise each caller has them.
        memory_bytes: the most bytes of the models' versions in memory; ``None`` for no limit, here and below.
        memory_versions: the most of their versions in memory.
        archive_bytes: the most bytes of their versions in the archive.
        calls_per_second: the most calls a second, on average.
        bytes_per_second: the most bytes of data a second, to and from the registry, on average.
    """

    name: str
    subjects: tuple[str, ...] = ()
    scopes: tuple[Scope, ...] = ()
    is_shared: bool = False
    memory_bytes: int | None = None
    memory_versions: int | None = None
    archive_bytes: int | None = None
    calls_per_second: float | None = None
    bytes_per_second: float | None = None

    @property
    def reach(self) -> tuple[Scope, ...]:
        """
        The models that count.
        """
        return self.scopes or (EVERYTHING,)

    @property
    def models(self) -> str:
        """
        The models that count, in words.
        """
        return ", ".join(map(str, self.reach))

    @property
    def limits_memory(self) -> bool:
        """
        True if it limits the versions in memory.
        """
        return self.memory_bytes is not None or self.memory_versions is not None

    @property
    def limits_rates(self) -> bool:
        """
        True if it limits calls or bytes a second.
        """
        return self.calls_per_second is not None or self.bytes_per_second is not None
