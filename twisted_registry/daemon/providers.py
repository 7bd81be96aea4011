"""
Storage providers: plugins, chosen by descriptions such as ``filesystem:/data``.

Each provider also takes the option ``threads``: how many threads call it.
"""

from collections.abc import Callable

from attrs import evolve, frozen
from twisted.plugin import IPlugin
from zope.interface import implementer

from twisted_registry.config.descriptions import Description, parse_description
from twisted_registry.config.load import Settings
from twisted_registry.config.values import whole
from twisted_registry.contracts.archive import IArchive
from twisted_registry.contracts.ownership import IIdentifiableArchive
from twisted_registry.contracts.providers import IArchiveProvider, ITransientProvider
from twisted_registry.contracts.transient import ITransientStore, TransientBudget
from twisted_registry.contracts.unfinished import IResumableArchive
from twisted_registry.daemon.factories import (
    FindPlugins,
    call_factory,
    check_complete,
    choose_provider,
    import_factory,
)
from twisted_registry.daemon.plugins import installed_plugins
from twisted_registry.domain.errors import CannotStart, shown

MAX_THREADS = 1000

_THREADS = whole(1, MAX_THREADS)


# --- Providers that import late --------------------------------------------------------------------------------------


@implementer(IPlugin, IArchiveProvider)
@frozen
class LazyArchiveProvider:
    """
    A provider of archives whose code is imported when an archive is made.

    Attributes:
        name: the name in descriptions.
        factory_name: the dotted name of a function or class that takes a description's arguments and makes an archive.
    """

    name: str
    factory_name: str

    def create_archive(self, /, *arguments: str, **options: str) -> IArchive:
        """
        Create an archive that is not open yet.

        Raises:
            CannotStart: the description is not valid.
        """
        factory: Callable[..., IArchive] = import_factory(self.name, self.factory_name)
        return call_factory(factory, (), self.name, arguments, options)


@implementer(IPlugin, ITransientProvider)
@frozen
class LazyTransientProvider:
    """
    A provider of transient stores whose code is imported when a store is made.

    Attributes:
        name: the name in descriptions.
        factory_name: the dotted name of a function or class that takes the budget and a description's arguments, and
            returns a store.
    """

    name: str
    factory_name: str

    # Positional only, because an option may be called 'budget' or 'self'.
    def create_transient_store(  # type: ignore[override]
        self, budget: TransientBudget, /, *arguments: str, **options: str
    ) -> ITransientStore:
        """
        Make a transient store.

        Raises:
            CannotStart: the description is not valid.
        """
        factory: Callable[..., ITransientStore] = import_factory(self.name, self.factory_name)
        return call_factory(factory, (budget,), self.name, arguments, options)


# --- From descriptions to storage ------------------------------------------------------------------------------------


def _parse(description: str) -> tuple[Description, int | None]:
    """
    Parse a description, and take the option ``threads`` out of it.
    """
    parsed = parse_description(description)
    options = dict(parsed.options)
    text = options.pop("threads", None)
    try:
        threads = None if text is None else _THREADS.parse(text)
    except ValueError:
        raise CannotStart(
            f"the option threads of the storage {shown(parsed.name)} is {shown(text or '')}; expected "
            f"{_THREADS.expected}"
        ) from None
    return evolve(parsed, options=options), threads


def create_archive(
    description: str, find_plugins: FindPlugins = installed_plugins, *, must_exist: bool = False
) -> IArchive:
    """
    Make the archive of a description, without opening it.

    Args:
        must_exist: whether opening it fails if it does not exist.

    Raises:
        CannotStart: the description is not valid, or no installed provider has its name; or the archive must exist, and
            its provider cannot check that.
    """
    parsed, _ = _parse(description)
    provider = choose_provider("archive", parsed, find_plugins(IArchiveProvider))
    archive = call_factory(provider.create_archive, (), parsed.name, parsed.arguments, parsed.options)
    if must_exist:
        if not IIdentifiableArchive.providedBy(archive):
            raise CannotStart(
                f"an archive {shown(parsed.name)} cannot check whether it exists already; remove --archive-must-exist"
            )
        archive.expect_existing()
    return archive


def create_transient_store(
    description: str, budget: TransientBudget, find_plugins: FindPlugins = installed_plugins
) -> ITransientStore:
    """
    Make the transient store of a description.

    Raises:
        CannotStart: the description is not valid, or no installed provider has its name.
    """
    parsed, _ = _parse(description)
    provider = choose_provider("transient store", parsed, find_plugins(ITransientProvider))
    return call_factory(provider.create_transient_store, (budget,), parsed.name, parsed.arguments, parsed.options)


@frozen
class Stores:
    """
    The archive and the transient store that the settings describe.

    Attributes:
        archive: the archive, not opened.
        archive_threads: how many threads call it; ``None`` for the default.
        transient: the transient store.
        transient_threads: how many threads call it; ``None`` for the default.
    """

    archive: IArchive
    archive_threads: int | None
    transient: ITransientStore
    transient_threads: int | None


def create_stores(settings: Settings, find_plugins: FindPlugins = installed_plugins) -> Stores:
    """
    Make the storage that the settings describe, without opening it.

    Raises:
        CannotStart: a description is not valid.
    """
    storage, memory = settings.storage, settings.memory
    archive = create_archive(storage.archive_description, find_plugins, must_exist=storage.archive_must_exist)
    check_complete("archive", storage.archive_description, archive, IArchive)
    if IResumableArchive.providedBy(archive):
        archive.limit_unfinished(settings.limits.unfinished)
    budget = TransientBudget(memory.max_items, memory.max_bytes)
    transient = create_transient_store(storage.transient, budget, find_plugins)
    check_complete("transient store", storage.transient, transient, ITransientStore)
    return Stores(archive, _parse(storage.archive_description)[1], transient, _parse(storage.transient)[1])
