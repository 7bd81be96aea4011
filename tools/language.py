"""
The language lint: words and sentence shapes that this project does not use.

    python -m tools.language                     the paths that pyproject.toml lists as clean
    python -m tools.language twisted_registry    any others

It reads docstrings, comments, texts and names in Python files, the prose of Markdown pages, and the comments of other
files that are named, such as the Makefile.  Code in backticks and in fenced blocks is skipped.  It also checks how wide
news fragments are.  ``[tool.language]`` in pyproject.toml lists the paths and the exceptions.  The glossary
(docs/glossary.md) has the words to use.
"""

import ast
import io
import re
import sys
import tokenize
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

from attrs import field, frozen

ROOT = Path(__file__).parents[1]


def _phrase(pattern: str) -> "re.Pattern[str]":
    """
    Compile a pattern in which a space matches any white space, so that a phrase may wrap.
    """
    return re.compile(rf"\b(?:{pattern})\b".replace(" ", r"\s+"), re.IGNORECASE)


PHRASES = [
    (_phrase(pattern), advice)
    for pattern, advice in (
        ("whoever", "'a client that', 'anyone who'"),
        ("told", "'notified', 'configured', 'reported'"),
        ("tells? (?:of|what|how|who|where|which|all|more|the log)", "'describe', 'explain', 'report', 'log'"),
        (r"(?<!there\s)(?:is|are|was|were) no(?! (?:longer|more|fewer|less|such|one|later))", "'is not a'"),
        (r"(?<!there\s)(?:is|are|was|were) (?-i:none)", "'is not', 'does not exist'"),
        ("at rest|comes? to rest|came to rest", "'durable', 'synced', 'on disk'"),
        ("pass(?:es|ed|ing)? over", "'skip', 'ignore'"),
        ("(?:give|gives|gave|given|giving) (?:it |them )?back", "'return', 'release'"),
        ("bench|workbench", "'staging area'"),
        ("patience", "'retry time', 'timeout'"),
        ("heed(?:s|ed)?", "'respected', 'used'"),
        ("has it that|such as have|made known", "a plain statement"),
        ("(?:for|within|after|be) a moment|a moment (?:later|ago)", "the duration, or 'briefly'"),
        ("h(?:ang|angs|ung|anging) up", "'disconnect'"),
        ("lanes?", "'serial executor'"),
        ("graves?", "'trash'"),
        ("drafts?", "'temp file'"),
        ("cutters?", "'chunker'"),
        ("gates?|gated", "'call tracker', or what it is"),
        ("tid(?:y|ies|ied|ying)", "'trim', 'clean up'"),
        ("troubles?", "'problem', 'error'"),
        ("puts? aside|putting aside", "'quarantine'"),
        ("br(?:eak|eaks|oke|oken|eaking) (?:it |them )?off", "'abort', 'cancel', 'disconnect'"),
        ("of (?:its|their|his|our|your|my) own(?! accord)", "'own', 'separate'"),
        ("anew", "'again'"),
        ("(?:not|nothing|nobody|never) (?:[a-z]+ ){0,3}any more", "'no longer'"),
        ("mend(?:s|ed|ing)?", "'fix', 'repair'"),
        ("can(?:not|'t) be found out", "'cannot be determined'"),
        ("user data", "'metadata' (`user_data` only on the wire)"),
    )
] + [
    (re.compile(r",\s+for\s+(?:it|they|he|that|there|these|nothing|nobody)\b"), "', because'"),
    (re.compile(r",\s+be\s+it\b"), "'whether'"),
    (re.compile(r"(?:^|[.:;]\s+|^[-*]\s+)(Where\s[^.?:|]{3,200}?,)", re.MULTILINE), "'If'"),
]
"""Phrases that are refused in prose, each with what to write in place of it."""

NAMES = {
    "anew": "again",
    "bench": "staging area",
    "cutter": "chunker",
    "draft": "temp file",
    "gate": "tracker",
    "gated": "what it waits for",
    "grave": "trash",
    "hangup": "disconnect",
    "lane": "serial executor",
    "mend": "repair",
    "mended": "repaired",
    "patience": "timeout",
    "tidy": "trim",
    "tidying": "trimming",
    "told": "what it holds",
    "trouble": "problem",
    "troubles": "problems",
    "whoever": "what it names",
    "workbench": "staging area",
}
"""Words that are refused as a part of a name, each with what to use in place of it."""

VERBS = {"Give", "Gives", "Tell", "Tells", "Say", "Says", "Have", "Has", "Be", "Want", "Nobody"}
RIDDLES = {"What", "Whether", "Where", "Who", "Whoever", "Whatever", "Whichever", "Whom"}
# fmt: off
THIRD_PERSON = {
    "Asks", "Carries", "Closes", "Computes", "Counts", "Creates", "Cuts", "Does", "Drives", "Ends", "Finds", "Follows",
    "Gathers", "Holds", "Keeps", "Knows", "Lets", "Listens", "Logs", "Makes", "Offers", "Opens", "Puts", "Reads",
    "Refuses", "Remembers", "Replaces", "Runs", "Sends", "Serves", "Shares", "Stands", "Takes", "Wakes", "Writes",
}
# fmt: on

NEWS_COLUMNS = 118
"""The width of news fragments."""

FUNCTION_OPENINGS = frozenset(VERBS | RIDDLES) - {"Whatever", "Whichever"}
"""A function's docstring does not begin with these: it begins with another imperative."""

NOUN_OPENINGS = frozenset(VERBS | RIDDLES | THIRD_PERSON)
"""The docstring of a module, a class or a value does not begin with these: it begins with a noun."""


@frozen(order=True)
class Finding:
    """
    A place that the lint refuses.
    """

    path: str
    line: int
    text: str
    advice: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: '{self.text}': use {self.advice}"


@frozen
class Config:
    """
    The table ``[tool.language]``.

    Attributes:
        clean: the paths that the lint checks by default.
        exclude: files and folders that it never reads.
        allow: phrases and names that a path may use nevertheless.
    """

    clean: list[str] = field(factory=list)
    exclude: list[str] = field(factory=list)
    allow: dict[str, list[str]] = field(factory=dict)

    def allows(self, finding: Finding) -> bool:
        """
        Return whether a finding is one of the exceptions.
        """
        return any(
            finding.text.casefold() == phrase.casefold()
            for path, phrases in self.allow.items()
            if _is_in(finding.path, path)
            for phrase in phrases
        )


def _is_in(path: str, folder: str) -> bool:
    return folder in (".", path) or path.startswith(f"{folder}/")


def prose(path: str, text: str, line: int) -> Iterator[Finding]:
    """
    Check a piece of prose that begins at a line.
    """
    bare = re.sub(r"``.*?``|`[^`\n]*`", lambda match: re.sub(r"[^\n]", "_", match[0]), text, flags=re.DOTALL)
    for pattern, advice in PHRASES:
        for match in pattern.finditer(bare):
            group = match.lastindex or 0
            yield Finding(path, line + bare.count("\n", 0, match.start(group)), " ".join(match[group].split()), advice)


def opening(path: str, text: str, line: int, refused: frozenset[str]) -> Iterator[Finding]:
    """
    Check the first word of a docstring.
    """
    word = re.match(r"\s*(\w+)", text)
    if word and word[1] in refused:
        yield Finding(path, line, word[1], "an imperative or a noun to begin a docstring with")


def _names_of(node: ast.AST) -> Iterator[str]:
    """
    Return the names that a node of the syntax tree defines.
    """
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
            yield name
        case ast.alias(asname=str(name)):
            yield name


def _words_of(name: str) -> list[str]:
    return [word.casefold() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]


def _names(path: str, tree: ast.AST) -> Iterator[Finding]:
    for node in ast.walk(tree):
        for name in _names_of(node):
            for word in _words_of(name):
                advice = NAMES.get(word) or NAMES.get(word.removesuffix("s"))
                if advice:
                    yield Finding(path, getattr(node, "lineno", 1), name, f"'{advice}' in a name")


def _texts(path: str, tree: ast.AST) -> Iterator[Finding]:
    """
    Check docstrings and the other texts: whatever has a space in it.
    """
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for before, child in zip([None, *body], body, strict=False) if isinstance(body, list) else ():
            if (
                isinstance(child, ast.Expr)
                and isinstance(child.value, ast.Constant)
                and isinstance(child.value.value, str)
            ):
                is_function = before is None and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
                refused = FUNCTION_OPENINGS if is_function else NOUN_OPENINGS
                yield from opening(path, child.value.value, child.lineno, refused)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield from prose(path, node.value, node.lineno)


def _comments(path: str, text: str) -> Iterator[Finding]:
    """
    Check comments; those on successive lines are one text.
    """
    lines: list[str] = []
    start = last = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            if token.start[0] != last + 1:
                yield from prose(path, "\n".join(lines), start)
                lines, start = [], token.start[0]
            last = token.start[0]
            lines.append(token.string.lstrip("# "))
    yield from prose(path, "\n".join(lines), start)


def check_python(path: str, text: str) -> Iterator[Finding]:
    """
    Check a Python file.
    """
    tree = ast.parse(text)
    yield from _texts(path, tree)
    yield from _names(path, tree)
    yield from _comments(path, text)


def check_page(path: str, text: str) -> Iterator[Finding]:
    """
    Check a Markdown page, without its fenced blocks, generated tables, comments and link targets.
    """

    def blank(match: "re.Match[str]") -> str:
        return re.sub(r"[^\n]", "", match[0])

    for pattern in (r"^```.*?^```$", r"<!-- the tables?:.*?<!-- the end", r"<!--.*?-->", r"\]\([^)]*\)"):
        text = re.sub(pattern, blank, text, flags=re.DOTALL | re.MULTILINE)
    yield from prose(path, text, 1)


def check_news(path: str, text: str) -> Iterator[Finding]:
    """
    Check the width of the lines of a news fragment, which become lines of the changelog.
    """
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > NEWS_COLUMNS:
            yield Finding(path, number, line[NEWS_COLUMNS:], f"lines of at most {NEWS_COLUMNS} columns")


def check_script(path: str, text: str) -> Iterator[Finding]:
    """
    Check a file of another kind: what follows ``#`` on a line, and at its beginning or a space.
    """
    comments = re.sub(r"^(?:.*?(?:^|\s)#+ ?(.*)|.*)$", r"\1", text, flags=re.MULTILINE)
    yield from prose(path, comments, 1)


def files_in(paths: Sequence[str], exclude: Sequence[str], root: Path = ROOT) -> Iterator[Path]:
    """
    Return the files to check: those that are named, and the Python and Markdown files in folders, sorted.
    """
    for path in paths:
        found = root / path
        for file in sorted(found.rglob("*")) if found.is_dir() else [found]:
            name = file.relative_to(root).as_posix()
            if (found == file or file.suffix in {".py", ".md"}) and not any(_is_in(name, each) for each in exclude):
                yield file


def check(paths: Sequence[str], config: Config, root: Path = ROOT) -> list[Finding]:
    """
    Check files and folders.

    Returns:
        the findings that are not among the exceptions, sorted.
    """
    findings: set[Finding] = set()
    for file in files_in(paths, config.exclude, root):
        checker = {".py": check_python, ".md": check_page}.get(file.suffix, check_script)
        name, text = file.relative_to(root).as_posix(), file.read_text()
        findings.update(checker(name, text))
        if _is_in(name, "news"):
            findings.update(check_news(name, text))
    return sorted(each for each in findings if not config.allows(each))


def read_config(root: Path = ROOT) -> Config:
    """
    Read the table ``[tool.language]`` of pyproject.toml.
    """
    return Config(**tomllib.loads((root / "pyproject.toml").read_text())["tool"]["language"])


def main(arguments: Sequence[str], root: Path = ROOT) -> int:
    """
    Run the lint.

    Returns:
        the exit status: 1 if there are findings.
    """
    config = read_config(root)
    paths = [Path(each).resolve().relative_to(root).as_posix() for each in arguments] or config.clean
    findings = check(paths, config, root)
    for finding in findings:
        print(finding)
    return int(bool(findings))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
