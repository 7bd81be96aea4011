"""
Storage providers: found as plugins, chosen by descriptions such as ``filesystem:/data``.

A description is written as Twisted's endpoints are::

    name:argument:argument:option=value

A backslash takes the next character as it is; a ``:``, a ``=`` or a backslash that belongs to an argument needs one.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

from attrs import field, frozen
from twisted.plugin import IPlugin, getPlugins
from twisted.python.reflect import namedAny
from zope.interface import Interface, implementer

from twisted_registry.contracts.archive import IArchive
from twisted_registry.contracts.ownership import IIdentifiableArchive
from twisted_registry.contracts.providers import IArchiveProvider, ITransientProvider
from twisted_registry.contracts.transient import ITransientStore, TransientBudget
from twisted_registry.domain.errors import CannotStart, shown

T = TypeVar("T")
Offered = TypeVar("Offered", bound=Interface)


class FindPlugins(Protocol):
    """
    ``twisted.plugin.getPlugins``, or what stands in for it.
    """

    def __call__(self, interface: type[Offered], /) -> Iterable[Offered]: ...


# --- Descriptions ----------------------------------------------------------------------------------------------------

_SPECIAL = ":=\\"


@frozen
class Description:
    """
    A provider's description, taken apart.

    Attributes:
        text: the description as it was written.
        name: the provider's name.
    """

    text: str
    name: str
    arguments: tuple[str, ...] = ()
    options: dict[str, str] = field(factory=dict)


def escape(argument: str) -> str:
    """
    Write a text so that a description holds it as one argument.
    """
    return "".join(f"\\{character}" if character in _SPECIAL else character for character in argument)


def _symbols(text: str) -> Iterator[tuple[str, bool]]:
    """
    Give each character of a description, and whether it separates.
    """
    characters = iter(text)
    for character in characters:
        if character == "\\":
            literal = next(characters, None)
            if literal is None:
                raise CannotStart(f"the storage description {shown(text)} ends in a lone backslash; double it")
            yield literal, False
        else:
            yield character, character in ":="


def _parts(text: str) -> list[list[str]]:
    """
    Split a description at its colons, and each part at its first equals sign.
    """
    parts = [[""]]
    for character, separates in _symbols(text):
        if separates and character == ":":
            parts.append([""])
        elif separates and len(parts[-1]) == 1:
            parts[-1].append("")
        else:
            parts[-1][-1] += character
    return parts


def parse_description(text: str) -> Description:
    """
    Take a description apart.

    Raises:
        CannotStart: it is malformed.
    """
    first, *others = _parts(text)
    if len(first) != 1 or not first[0]:
        raise CannotStart(f"the storage description {shown(text)} must begin with a provider's name")
    arguments: list[str] = []
    options: dict[str, str] = {}
    for part in others:
        if len(part) == 1:
            arguments.append(part[0])
        elif part[0] in options:
            raise CannotStart(f"the storage description {shown(text)} gives {part[0]} twice")
        else:
            options[part[0]] = part[1]
    return Description(text, first[0], tuple(arguments), options)


# --- Calls whose arguments somebody typed ----------------------------------------------------------------------------


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
    Say how a description is written.
    """
    return ":".join([name, *map(_word, parameters)])


def _call(
    factory: Callable[..., T],
    given: tuple[TransientBudget, ...],
    name: str,
    arguments: tuple[str, ...],
    options: dict[str, str],
) -> T:
    """
    Call a factory with what a description holds.

    Args:
        given: what comes before the description's arguments.

    Raises:
        CannotStart: the factory does not take these arguments.
    """
    signature = inspect.signature(factory)
    try:
        bound = signature.bind(*given, *arguments, **options)
    except TypeError as error:
        usage = _usage(name, list(signature.parameters.values())[len(given) :])
        raise CannotStart(
            f"the storage {shown(name)} does not take what its description gives ({error}); it is written {usage!r}, "
            "where a ':' or '=' inside an argument takes a backslash before it"
        ) from None
    return factory(*bound.args, **bound.kwargs)


# --- Providers that import late --------------------------------------------------------------------------------------


@implementer(IPlugin, IArchiveProvider)
@frozen
class LazyArchiveProvider:
    """
    Offers an archive without importing it before it is asked for.

    Attributes:
        factory_name: the dotted name of what takes the description's arguments and gives the archive.
    """

    name: str
    factory_name: str

    def create_archive(self, /, *arguments: str, **options: str) -> IArchive:
        """
        Make an archive, not opened yet.

        Raises:
            CannotStart: the description makes no sense.
        """
        factory: Callable[..., IArchive] = namedAny(self.factory_name)
        return _call(factory, (), self.name, arguments, options)


@implementer(IPlugin, ITransientProvider)
@frozen
class LazyTransientProvider:
    """
    Offers a transient store without importing it before it is asked for.

    Attributes:
        factory_name: the dotted name of what takes the budget and the description's arguments and gives the store.
    """

    name: str
    factory_name: str

    # An option may be called anything, 'budget' and 'self' too: so those are told by their places alone.
    def create_transient_store(  # type: ignore[override]
        self, budget: TransientBudget, /, *arguments: str, **options: str
    ) -> ITransientStore:
        """
        Make a transient store.

        Raises:
            CannotStart: the description makes no sense.
        """
        factory: Callable[..., ITransientStore] = namedAny(self.factory_name)
        return _call(factory, (budget,), self.name, arguments, options)


# --- From a description to what it describes -------------------------------------------------------------------------


class _Named(Protocol):
    name: str


Provider = TypeVar("Provider", bound=_Named)


def _choose(kind: str, description: Description, providers: Iterable[Provider]) -> Provider:
    """
    Give the one provider that a description names.
    """
    known = list(providers)
    chosen = [provider for provider in known if provider.name == description.name]
    if not chosen:
        names = ", ".join(sorted({provider.name for provider in known})) or "none"
        raise CannotStart(
            f"there is no {kind} {shown(description.name)}, which {shown(description.text)} asks for; known: {names}"
        )
    if len(chosen) > 1:
        raise CannotStart(f"{len(chosen)} plugins call their {kind} {shown(description.name)}; uninstall all but one")
    return chosen[0]


def create_archive(description: str, find_plugins: FindPlugins = getPlugins, *, must_exist: bool = False) -> IArchive:
    """
    Make the archive that a description asks for, not opened yet.

    Args:
        must_exist: whether it is to be opened only where it is there already.

    Raises:
        CannotStart: the description makes no sense, or nothing installed knows it; or it must exist, and its provider
            cannot tell.
    """
    parsed = parse_description(description)
    provider = _choose("archive", parsed, find_plugins(IArchiveProvider))
    archive = _call(provider.create_archive, (), parsed.name, parsed.arguments, parsed.options)
    if must_exist:
        if not IIdentifiableArchive.providedBy(archive):
            raise CannotStart(
                f"an archive {shown(parsed.name)} cannot tell whether it was there before; "
                "leave --archive-must-exist out"
            )
        archive.expect_existing()
    return archive


def create_transient_store(
    description: str, budget: TransientBudget, find_plugins: FindPlugins = getPlugins
) -> ITransientStore:
    """
    Make the transient store that a description asks for.

    Raises:
        CannotStart: the description makes no sense, or nothing installed knows it.
    """
    parsed = parse_description(description)
    provider = _choose("transient store", parsed, find_plugins(ITransientProvider))
    return _call(provider.create_transient_store, (budget,), parsed.name, parsed.arguments, parsed.options)
