"""
Storage providers: plugins, chosen by descriptions such as ``filesystem:/data``.

The types of a provider's arguments are those of its function's annotations.  Each provider also takes the option
``threads``: how many threads call it.
"""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from types import UnionType
from typing import Annotated, Any, Literal, Protocol, TypeVar, Union, get_args, get_origin

from attrs import evolve, frozen
from twisted.plugin import IPlugin
from twisted.python.modules import getModule
from twisted.python.reflect import ObjectNotFound, namedAny
from zope.interface import Interface, implementer

from twisted_registry.config.descriptions import Description, parse_description
from twisted_registry.config.load import Settings
from twisted_registry.config.values import SWITCH, ValueType, one_of, whole
from twisted_registry.contracts.archive import IArchive
from twisted_registry.contracts.ownership import IIdentifiableArchive
from twisted_registry.contracts.providers import IArchiveProvider, ITransientProvider
from twisted_registry.contracts.transient import ITransientStore, TransientBudget
from twisted_registry.contracts.unfinished import IResumableArchive
from twisted_registry.daemon.plugins import installed_plugins
from twisted_registry.domain.errors import CannotStart, shown

_GUIDE = "docs/guides/write-a-provider.md"
"""The page about providers, for the messages."""

T = TypeVar("T")
Offered = TypeVar("Offered", bound=Interface)


class FindPlugins(Protocol):
    """
    The type of ``twisted.plugin.getPlugins``.
    """

    def __call__(self, interface: type[Offered], /) -> Iterable[Offered]: ...


# --- Typed arguments -------------------------------------------------------------------------------------------------

MAX_THREADS = 1000

_THREADS = whole(1, MAX_THREADS)

_KEYWORD = inspect.Parameter.KEYWORD_ONLY
_POSITIONAL = inspect.Parameter.POSITIONAL_ONLY


def _parse_int(text: str) -> int:
    # int() alone accepts '1_000', ' 7' and the digits of other scripts.
    if not re.fullmatch("-?[0-9]{1,20}", text):
        raise ValueError(text)
    return int(text)


def _parse_float(text: str) -> float:
    value = float(text)
    if not abs(value) < float("inf"):
        raise ValueError(text)
    return value


_TYPES = {
    str: ValueType("text", "text", str),
    int: ValueType("number", "a whole number", _parse_int),
    float: ValueType("number", "a number", _parse_float),
    bool: SWITCH,
}


def _value_type(annotation: Any) -> ValueType:
    """
    Return the type of an argument's values: ``str``, ``int``, ``float``, ``bool``, ``Literal`` of texts, each also with
    ``| None``, or any ``Annotated`` with a ``ValueType``; text for other annotations.
    """
    origin = get_origin(annotation)
    if origin is Annotated:
        found = next((each for each in annotation.__metadata__ if isinstance(each, ValueType)), None)
        return found or _value_type(get_args(annotation)[0])
    if origin is Literal:
        return one_of(get_args(annotation))
    if origin in (Union, UnionType):
        return _value_type(next(each for each in get_args(annotation) if each is not type(None)))
    return _TYPES.get(annotation, _TYPES[str])


def _typed(name: str, parameter: inspect.Parameter, value: Any) -> Any:
    """
    Return an argument with the type that its parameter declares.

    Raises:
        CannotStart: the text is not valid for that type.
    """
    if parameter.kind is inspect.Parameter.VAR_KEYWORD:
        return {key: _typed(name, parameter.replace(name=key, kind=_KEYWORD), each) for key, each in value.items()}
    if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
        return tuple(_typed(name, parameter.replace(kind=_POSITIONAL), each) for each in value)
    kind = _value_type(parameter.annotation)
    try:
        return kind.parse(value)
    except ValueError:
        raise CannotStart(
            f"the option {parameter.name} of the storage {shown(name)} is {shown(value)}; expected {kind.expected}"
        ) from None


def _word(parameter: inspect.Parameter) -> str:
    match parameter.kind:
        case inspect.Parameter.KEYWORD_ONLY:
            return f"{parameter.name}=..."
        case inspect.Parameter.VAR_POSITIONAL:
            return "..."
        case inspect.Parameter.VAR_KEYWORD:
            return "name=value"
        case _:
            return parameter.name


def _usage(name: str, parameters: Iterable[inspect.Parameter]) -> str:
    """
    Return the form of a provider's descriptions.
    """
    return ":".join([name, *map(_word, parameters)])


def _signature(factory: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(factory, eval_str=True)
    except Exception:  # an annotation names something that is not imported at run time
        return inspect.signature(factory)


def _call(
    factory: Callable[..., T],
    given: tuple[TransientBudget, ...],
    name: str,
    arguments: tuple[str, ...],
    options: dict[str, str],
) -> T:
    """
    Call a factory with the arguments and options of a description.

    Args:
        given: the arguments before those of the description.

    Raises:
        CannotStart: the factory does not take these arguments.
    """
    signature = _signature(factory)
    try:
        bound = signature.bind(*given, *arguments, **options)
    except TypeError as error:
        usage = _usage(name, list(signature.parameters.values())[len(given) :])
        raise CannotStart(
            f"the description of the storage {shown(name)} is invalid ({error}); write it as {usage!r}, with a "
            "backslash before each ':' or '=' inside an argument"
        ) from None
    for key in list(bound.arguments)[len(given) :]:
        bound.arguments[key] = _typed(name, signature.parameters[key], bound.arguments[key])
    return factory(*bound.args, **bound.kwargs)


# --- Providers that import late --------------------------------------------------------------------------------------


def _factory(provider: str, factory_name: str) -> Callable[..., Any]:
    """
    Import the factory of a provider.

    Raises:
        CannotStart: something that it imports does not exist, such as an interface of another version.
    """
    try:
        factory: Callable[..., Any] = namedAny(factory_name)
    except (ImportError, AttributeError, ObjectNotFound) as error:
        raise CannotStart(
            f"the plugin of the storage {shown(provider)} cannot import {factory_name} ({error}); install what is "
            f"missing, or a version of the plugin for this version of twisted-registry, see {_GUIDE}"
        ) from error
    return factory


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
        factory: Callable[..., IArchive] = _factory(self.name, self.factory_name)
        return _call(factory, (), self.name, arguments, options)


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
        factory: Callable[..., ITransientStore] = _factory(self.name, self.factory_name)
        return _call(factory, (budget,), self.name, arguments, options)


# --- From descriptions to storage ------------------------------------------------------------------------------------


class _Named(Protocol):
    name: str


Provider = TypeVar("Provider", bound=_Named)


def _choose(kind: str, description: Description, providers: Iterable[Provider]) -> Provider:
    """
    Return the one provider that a description names.
    """
    known = list(providers)
    chosen = [provider for provider in known if provider.name == description.name]
    if not chosen:
        names = ", ".join(sorted({provider.name for provider in known})) or "none"
        raise CannotStart(
            f"there is no {kind} {shown(description.name)}, which {shown(description.text)} names; known: {names}"
            + "".join(_broken_plugins())
        )
    if len(chosen) > 1:
        raise CannotStart(f"{len(chosen)} plugins provide the {kind} {shown(description.name)}; uninstall all but one")
    return chosen[0]


def _broken_plugins() -> Iterator[str]:
    """
    Return a part of an error text for each plugin for this project that cannot be imported.
    """
    for module in getModule("twisted.plugins").iterModules():
        try:
            module.load()
        except Exception as error:  # whatever the module does
            if b"twisted_registry" in module.filePath.getContent():
                yield f"; the plugin {module.filePath.path} cannot be imported ({error}), see {_GUIDE}"


def _check_complete(kind: str, description: str, storage: object, interface: type[Interface]) -> None:
    """
    Check that storage has everything that its interface names.

    Raises:
        CannotStart: it was written for another version of the interface.
    """
    missing = sorted(name for name in interface.names(all=True) if not hasattr(storage, name))
    if missing:
        raise CannotStart(
            f"the {kind} {shown(description)} lacks {', '.join(missing)}; install a version of its plugin for this "
            f"version of twisted-registry, see {_GUIDE}"
        )


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
    provider = _choose("archive", parsed, find_plugins(IArchiveProvider))
    archive = _call(provider.create_archive, (), parsed.name, parsed.arguments, parsed.options)
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
    provider = _choose("transient store", parsed, find_plugins(ITransientProvider))
    return _call(provider.create_transient_store, (budget,), parsed.name, parsed.arguments, parsed.options)


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
    _check_complete("archive", storage.archive_description, archive, IArchive)
    if IResumableArchive.providedBy(archive):
        archive.limit_unfinished(settings.limits.unfinished)
    budget = TransientBudget(memory.max_items, memory.max_bytes)
    transient = create_transient_store(storage.transient, budget, find_plugins)
    _check_complete("transient store", storage.transient, transient, ITransientStore)
    return Stores(archive, _parse(storage.archive_description)[1], transient, _parse(storage.transient)[1])
