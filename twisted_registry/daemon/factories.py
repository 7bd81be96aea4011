"""
The making of what plugins provide, from descriptions such as ``filesystem:/data``.

The types of a provider's arguments are those of its function's annotations.
"""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from types import UnionType
from typing import Annotated, Any, Literal, Protocol, TypeVar, Union, get_args, get_origin

from twisted.python.modules import getModule
from twisted.python.reflect import ObjectNotFound, namedAny
from zope.interface import Interface

from twisted_registry.config.descriptions import Description
from twisted_registry.config.values import SWITCH, ValueType, one_of
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


def _typed(what: str, name: str, parameter: inspect.Parameter, value: Any) -> Any:
    """
    Return an argument with the type that its parameter declares.

    Raises:
        CannotStart: the text is not valid for that type.
    """
    if parameter.kind is inspect.Parameter.VAR_KEYWORD:
        return {
            key: _typed(what, name, parameter.replace(name=key, kind=_KEYWORD), each) for key, each in value.items()
        }
    if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
        return tuple(_typed(what, name, parameter.replace(kind=_POSITIONAL), each) for each in value)
    kind = _value_type(parameter.annotation)
    try:
        return kind.parse(value)
    except ValueError:
        raise CannotStart(
            f"the option {parameter.name} of the {what} {shown(name)} is {shown(value)}; expected {kind.expected}"
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


def call_factory(
    factory: Callable[..., T],
    given: tuple[object, ...],
    name: str,
    arguments: tuple[str, ...],
    options: dict[str, str],
    what: str = "storage",
) -> T:
    """
    Call a factory with the arguments and options of a description.

    Args:
        given: the arguments before those of the description.
        what: names what the factory makes, in errors.

    Raises:
        CannotStart: the factory does not take these arguments.
    """
    signature = _signature(factory)
    try:
        bound = signature.bind(*given, *arguments, **options)
    except TypeError as error:
        usage = _usage(name, list(signature.parameters.values())[len(given) :])
        raise CannotStart(
            f"the description of the {what} {shown(name)} is invalid ({error}); write it as {usage!r}, with a "
            "backslash before each ':' or '=' inside an argument"
        ) from None
    for key in list(bound.arguments)[len(given) :]:
        bound.arguments[key] = _typed(what, name, signature.parameters[key], bound.arguments[key])
    return factory(*bound.args, **bound.kwargs)


# --- Factories and plugins -------------------------------------------------------------------------------------------


def import_factory(provider: str, factory_name: str, what: str = "storage") -> Callable[..., Any]:
    """
    Import the factory of a provider.

    Args:
        what: names what the factory makes, in errors.

    Raises:
        CannotStart: something that it imports does not exist, such as an interface of another version.
    """
    try:
        factory: Callable[..., Any] = namedAny(factory_name)
    except (ImportError, AttributeError, ObjectNotFound) as error:
        raise CannotStart(
            f"the plugin of the {what} {shown(provider)} cannot import {factory_name} ({error}); install what is "
            f"missing, or a version of the plugin for this version of twisted-registry, see {_GUIDE}"
        ) from error
    return factory


class _Named(Protocol):
    name: str


Provider = TypeVar("Provider", bound=_Named)


def choose_provider(kind: str, description: Description, providers: Iterable[Provider]) -> Provider:
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


def check_complete(kind: str, description: str, made: object, interface: type[Interface]) -> None:
    """
    Check that what a provider made has everything that its interface names.

    Raises:
        CannotStart: it was written for another version of the interface.
    """
    missing = sorted(name for name in interface.names(all=True) if not hasattr(made, name))
    if missing:
        raise CannotStart(
            f"the {kind} {shown(description)} lacks {', '.join(missing)}; install a version of its plugin for this "
            f"version of twisted-registry, see {_GUIDE}"
        )
