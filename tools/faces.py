"""
The generator of the client's blocking and Twisted faces.

``python -m tools.faces`` writes ``client/blocking.py`` and ``client/deferred.py`` from the asyncio client, docstrings
included; with ``--check``, it compares them instead, and exits with 1 if they differ.
"""

import ast
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

CLIENT = Path(__file__).parents[1] / "twisted_registry" / "client"

_PARTS = {
    "methods/models": "ModelMethods",
    "methods/transfers": "TransferMethods",
    "methods/references": "ReferenceMethods",
    "methods/aliases": "AliasMethods",
    "methods/retention": "RetentionMethods",
    "methods/following": "FollowingMethods",
    "methods/server": "ServerMethods",
}
"""The modules with the methods of the asyncio client, in the order of the faces, and their classes."""

_HEADER = '''"""
{title}

Written by ``make faces`` from ``aio.py``; do not edit.
"""

import os
from collections.abc import Iterable, Mapping
{imports}
from twisted_registry.client._server_types import CallerInfo, Follower, MetricSeries, MetricSummary, ServerStatus
from twisted_registry.client._transport.addresses import DEFAULT_ADDRESS
from twisted_registry.client._transport.options import Tls
from twisted_registry.client._types import (
    AnyReference, Data, Event, Progress, Pruned, PruneProgress, Retention, UploadState, Version
)
from twisted_registry.client.aio import Client
from twisted_registry.domain.aliases import AliasMove
from twisted_registry.domain.models import ModelInfo, VersionInfo
from twisted_registry.domain.records import ModelRecord, VersionRecord
from twisted_registry.domain.retention import RetentionPolicy

T = TypeVar("T")
'''

_BLOCKING_HEADER = _HEADER.format(
    title="The client for programs without an event loop.",
    imports="""\
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, overload

from twisted_registry.client._blocking import BlockingItems, BlockingTrackerBase
from twisted_registry.client._event_loop import event_loop_thread""",
)

_DEFERRED_HEADER = _HEADER.format(
    title="The client for Twisted.",
    imports="""\
from collections.abc import Callable
from typing import Any, Literal, TypeVar, overload

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads

from twisted_registry.client._deferred import DeferredClientBase, DeferredIterator, DeferredTrackerBase, Deferrer""",
)

_BLOCKING_SPECIAL = '''
    def __reduce__(self) -> tuple[Any, ...]:
        """
        Return the arguments, to pickle or copy the client: the copy connects at its first call.  The token and the
        private key are included.
        """
        return partial(type(self), **self._client._arguments()), (self.address,)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
'''

_BLOCKING_CLASS = """
A client of a model registry for programs without an event loop.  Any number of threads may use it.

The first call loads gRPC, which takes some tenths of a second, and connects.  ``progress`` functions are called in
another thread.

Methods raise the errors of ``twisted_registry.client.errors``.  A call that fails because the server is away is
retried if repeating it is harmless.
"""

_DEFERRED_CLASS = """
A client of a model registry for Twisted, with any reactor.

The first call loads gRPC, which takes some tenths of a second in another thread, and connects.  Deferreds fire in
the reactor's thread, and cancelling one cancels its call.  In a coroutine, ``async with`` closes the client.
``progress`` functions are called in another thread.

Deferreds fail with the errors of ``twisted_registry.client.errors``.  A call that fails because the server is away
is retried if repeating it is harmless.
"""

_BLOCKING_TRACKER = "A tracker of a model: an iterator and context manager, made by ``BlockingClient.track``.\n"

_DEFERRED_TRACKER = """
A tracker of a model: an iterator for ``async for`` and a context manager for ``async with`` in coroutines, made by
``DeferredClient.track``.
"""

_REACTOR = "    reactor: Deferreds fire in its thread.\n"


@frozen
class Method:
    """
    A method of a class of the asyncio client.
    """

    node: ast.FunctionDef | ast.AsyncFunctionDef

    @property
    def name(self) -> str:
        """
        The method's name.
        """
        return self.node.name

    @property
    def is_async(self) -> bool:
        """
        Return whether it is a coroutine function.
        """
        return isinstance(self.node, ast.AsyncFunctionDef)

    @property
    def decorators(self) -> list[str]:
        """
        The names of its decorators.
        """
        return [ast.unparse(decorator) for decorator in self.node.decorator_list]

    @property
    def returns(self) -> str:
        """
        The annotation of its result, without quotes.
        """
        node = self.node.returns
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value
        return "None" if node is None else ast.unparse(node)

    @property
    def docstring(self) -> str:
        """
        Its docstring, not indented; empty for an overload.
        """
        return ast.get_docstring(self.node) or ""

    @property
    def parameters(self) -> str:
        """
        Its parameters, as they are declared.
        """
        return ast.unparse(self.node.args)

    @property
    def arguments(self) -> str:
        """
        The arguments that pass its parameters on.
        """
        args = self.node.args
        positional = [arg.arg for arg in args.args[1:]]
        starred = [f"*{args.vararg.arg}"] if args.vararg else []
        return ", ".join(positional + starred + [f"{arg.arg}={arg.arg}" for arg in args.kwonlyargs])

    @property
    def access(self) -> str:
        """
        The expression that calls it, or reads it if it is a property.
        """
        return self.name if "property" in self.decorators else f"{self.name}({self.arguments})"


def class_of(module: str, name: str) -> ast.ClassDef:
    """
    Return the definition of a class of the asyncio client.
    """
    tree = ast.parse((CLIENT / f"{module}.py").read_text())
    return next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)


def public_methods(found: ast.ClassDef) -> Iterator[Method]:
    """
    Return the public methods of a class.
    """
    for node in found.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            yield Method(node)


CLIENT_CLASS = class_of("aio", "Client")
CONSTRUCTOR = next(
    Method(node) for node in CLIENT_CLASS.body if isinstance(node, ast.FunctionDef) and node.name == "__init__"
)
CLIENT_METHODS = [
    method
    for found in (CLIENT_CLASS, *(class_of(module, name) for module, name in _PARTS.items()))
    for method in public_methods(found)
]
TRACKER_CLASS = class_of("_tracking/tracker", "Tracker")
ABOUT_TRACKERS = (ast.get_docstring(TRACKER_CLASS) or "").partition("\n\n")[2]


def blocking_source() -> Iterator[str]:
    """
    Return the parts of the blocking face, not formatted.
    """
    yield _BLOCKING_HEADER
    yield _class_head("BlockingTracker(BlockingTrackerBase[T])", f"{_BLOCKING_TRACKER}\n{ABOUT_TRACKERS}")
    for method in public_methods(TRACKER_CLASS):
        if not method.is_async:
            yield _definition(method, method.returns, method.docstring, f"return self._tracker.{method.access}")
    yield _class_head("BlockingClient", _BLOCKING_CLASS)
    yield _definition(CONSTRUCTOR, "None", CONSTRUCTOR.docstring, f"self._client = Client({CONSTRUCTOR.arguments})")
    yield _BLOCKING_SPECIAL
    yield from map(_blocking_method, CLIENT_METHODS)


def _blocking_method(method: Method) -> str:
    docstring = re.sub(r"\basync (with|for)\b", r"\1", method.docstring)
    call = f"self._client.{method.access}"
    if method.name == "close":
        body = f"event_loop_thread.close({call})"
    elif method.is_async:
        body = f"{'' if method.returns == 'None' else 'return '}event_loop_thread.run({call})"
    else:
        body = f"return {_wrapped(method, 'BlockingItems(', 'BlockingTracker(', call)}"
    return _definition(method, _renamed(method.returns, "BlockingItems", "BlockingTracker"), docstring, body)


def deferred_source() -> Iterator[str]:
    """
    Return the parts of the Twisted face, not formatted.
    """
    yield _DEFERRED_HEADER
    yield _class_head("DeferredTracker(DeferredTrackerBase[T])", f"{_DEFERRED_TRACKER}\n{ABOUT_TRACKERS}")
    for method in public_methods(TRACKER_CLASS):
        if method.name == "start":
            yield _deferred(method, "self._tracker")
        elif not method.is_async:
            yield _definition(method, method.returns, method.docstring, f"return self._tracker.{method.access}")
    yield _class_head("DeferredClient(DeferredClientBase)", _DEFERRED_CLASS)
    yield _definition(
        CONSTRUCTOR,
        "None",
        CONSTRUCTOR.docstring.replace("Args:\n", f"Args:\n{_REACTOR}", 1),
        f"self._defer = Deferrer(reactor)\n        self._client = Client({CONSTRUCTOR.arguments})",
        CONSTRUCTOR.parameters.replace("self, ", "self, reactor: IReactorFromThreads, ", 1),
    )
    yield from map(_deferred_method, CLIENT_METHODS)


def _deferred_method(method: Method) -> str:
    if method.is_async:
        return _deferred(method, "self._client")
    call = f"self._client.{method.access}"
    body = f"return {_wrapped(method, 'DeferredIterator(self._defer, ', 'DeferredTracker(self._defer, ', call)}"
    return _definition(method, _renamed(method.returns, "DeferredIterator", "DeferredTracker"), method.docstring, body)


def _deferred(method: Method, target: str) -> str:
    body = f"return self._defer({target}.{method.access})"
    return _definition(method, f'"Deferred[{method.returns}]"', _deferred_docstring(method.docstring), body)


def _deferred_docstring(text: str) -> str:
    """
    Return a docstring whose result is a Deferred.
    """
    before, found, result = text.partition("Returns:\n")
    if found:
        result, blank, after = result.partition("\n\n")
        words = " ".join(result.split())
        return before + _deferred_result(words[0].lower() + words[1:]) + blank + after
    before, blank, after = text.partition("\n\nRaises:")
    return f"{before}\n\n{_deferred_result('``None`` when this is done.')}{blank}{after}"


def _deferred_result(words: str) -> str:
    lines = textwrap.wrap(f"A Deferred that fires with {words}", width=108)
    return "Returns:\n" + textwrap.indent("\n".join(lines), "    ")


def _renamed(annotation: str, items: str, tracker: str) -> str:
    return annotation.replace("Items[", f"{items}[").replace("Tracker[", f"{tracker}[")


def _wrapped(method: Method, items: str, tracker: str, call: str) -> str:
    for kind, wrapper in (("Items[", items), ("Tracker[", tracker)):
        if method.returns.startswith(kind):
            return f"{wrapper}{call})"
    return call


def _class_head(head: str, docstring: str) -> str:
    return f"\nclass {head}:\n{_documented(docstring, 4)}\n"


def _definition(method: Method, returns: str, docstring: str, body: str, parameters: str = "") -> str:
    decorators = "".join(f"    @{decorator}\n" for decorator in method.decorators)
    head = f"{decorators}    def {method.name}({parameters or method.parameters}) -> {returns}:"
    if "overload" in method.decorators:
        return f"{head} ...\n"
    return f"{head}\n{_documented(docstring, 8)}\n        {body}\n"


def _documented(text: str, indentation: int) -> str:
    return textwrap.indent(f'"""\n{text.strip()}\n"""', " " * indentation)


def _formatted(source: str) -> str:
    ruff = Path(sys.executable).with_name("ruff")
    for arguments in (["check", "--fix", "--quiet", "--select", "F,I,UP"], ["format", "--quiet"]):
        command: list[str | Path] = [ruff, *arguments, "--stdin-filename", CLIENT / "blocking.py", "-"]
        source = subprocess.run(command, input=source, capture_output=True, text=True, check=True).stdout
    return source


def faces() -> dict[Path, str]:
    """
    Return the source of each generated module, by its path.
    """
    parts = {"blocking.py": blocking_source(), "deferred.py": deferred_source()}
    return {CLIENT / name: _formatted("\n".join(source)) for name, source in parts.items()}


def main(arguments: list[str]) -> int:
    """
    Write the modules, or check them.
    """
    outdated = {path: source for path, source in faces().items() if not path.exists() or path.read_text() != source}
    if arguments == ["--check"]:
        for path in outdated:
            print(f"{path.name} differs from what aio.py makes of it: run 'make faces'", file=sys.stderr)
        return 1 if outdated else 0
    for path, source in outdated.items():
        path.write_text(source)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
