"""
The docstring lint: what the docstrings of a public API must say.

    python -m tools.docstrings

It reads the packages that other projects use: ``contracts``, ``testing`` and ``client``.  Each public function must
document each of its parameters, and its result if it has one.  Errors that a docstring names must exist.  A docstring
``See ``IArchive.open``.`` refers to the interface, overloads and tests need none.
"""

import ast
import builtins
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("contracts", "testing", "client")

Function = ast.FunctionDef | ast.AsyncFunctionDef

_SECTION = re.compile(r"^(Args|Returns|Yields|Raises):\n((?:[ ]+.*\n|\n)*)", re.MULTILINE)
_ENTRY = re.compile(r"^ {4}(\w[\w, ]*):", re.MULTILINE)
_FAILURES = re.compile(r"\b(?:fails?|failed) with\b([^.]*)")
_NAME = re.compile(r"``([A-Z]\w+)``")
_NO_RESULT = re.compile(r"^(?:None|NoReturn|(?:Awaitable|Future)\[(?:None|object)\])$")


def functions(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, Function]]:
    """
    Return the public functions and methods in a module or class, with their qualified names.
    """
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from functions(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, Function) and not re.match(r"_(?!_init__$)|test_|setUp$|tearDown$", node.name):
            yield f"{prefix}{node.name}", node


def parameters(function: Function) -> list[str]:
    """
    Return the names of a function's parameters, except for ``self`` and ``cls``.
    """
    args = function.args
    starred = [each for each in (args.vararg, args.kwarg) if each]
    names = [each.arg for each in (*args.posonlyargs, *args.args, *args.kwonlyargs, *starred)]
    return [name for name in names if name not in ("self", "cls") and not name.startswith("_")]


def sections(docstring: str) -> dict[str, str]:
    """
    Return the sections of a docstring by their titles; the text before them has an empty title.
    """
    found = {match[1]: match[2] for match in _SECTION.finditer(f"{docstring}\n")}
    return {"": _SECTION.split(docstring, maxsplit=1)[0], **found}


def entries(section: str) -> set[str]:
    """
    Return the names that a section has an entry for.
    """
    return {name for match in _ENTRY.finditer(section) for name in match[1].split(", ")}


def _has_result(function: Function) -> bool:
    returns = function.returns
    text = returns.value if isinstance(returns, ast.Constant) else returns and ast.unparse(returns)
    return (
        function.name != "__init__"
        and not any(ast.unparse(each) == "property" for each in function.decorator_list)
        and not _NO_RESULT.match(str(text))
    )


def problems(function: Function, names: frozenset[str]) -> Iterator[str]:
    """
    Return what is missing in a function's docstring, or wrong.

    Args:
        function: the function.
        names: the errors that exist.
    """
    docstring = ast.get_docstring(function) or ""
    if docstring.startswith("See ``") or any(ast.unparse(each) == "overload" for each in function.decorator_list):
        return
    parts = sections(docstring)
    documented = entries(parts.get("Args", ""))
    yield from (f"the parameter '{name}' is not documented" for name in parameters(function) if name not in documented)
    yield from (f"there is no parameter '{name}'" for name in sorted(documented - set(parameters(function))))
    if _has_result(function) and not {"Returns", "Yields"} & set(parts) and not re.search("(?i)return", parts[""]):
        yield "the result is not documented"
    failures = {name for match in _FAILURES.finditer(docstring) for name in _NAME.findall(match[1])}
    unknown = (entries(parts.get("Raises", "")) | failures) - names
    yield from (f"there is no error '{name}'" for name in sorted(unknown))


def error_names(root: Path = ROOT) -> frozenset[str]:
    """
    Return the names of the errors that exist: Python's, and those that the package defines.
    """
    python = {name for name, value in vars(builtins).items() if isinstance(value, type)}
    files = [*root.glob("twisted_registry/domain/*.py"), root / "twisted_registry/client/errors.py"]
    nodes = (node for file in files for node in ast.parse(file.read_text()).body)
    return frozenset(python | {node.name for node in nodes if isinstance(node, ast.ClassDef)})


def check(source: str, path: str, names: frozenset[str]) -> list[str]:
    """
    Check a module.

    Args:
        source: its text.
        path: its path, for the findings.
        names: the errors that exist.

    Returns:
        A line per finding.
    """
    return [
        f"{path}:{function.lineno}: {name}: {problem}"
        for name, function in functions(ast.parse(source).body)
        for problem in problems(function, names)
    ]


def main() -> int:
    """
    Check the public modules.

    Returns:
        The exit status: 1 if there are findings.
    """
    names = error_names()
    found = []
    for package in PACKAGES:
        for file in sorted((ROOT / "twisted_registry" / package).rglob("*.py")):
            path = file.relative_to(ROOT)
            if not any(re.match("_(?!_init__)", part) for part in path.parts):
                found += check(file.read_text(), path.as_posix(), names)
    print("\n".join(found), end="\n" if found else "")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
