"""
The page for people: static files, which hold no data.  All of it comes by the calls that the page makes, each with the
caller's credentials.
"""

import gzip
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from importlib.resources import files
from importlib.resources.abc import Traversable

from attrs import frozen
from twisted.web.http import CACHED
from twisted.web.resource import Resource

from twisted_registry.web.pages import Page
from twisted_registry.web.requests import BoundedRequest

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
"""The content types of the files that are served, by suffix.  The licenses beside them are not."""

_INDEX = "index.html"

_NOT_AT_ONCE = frozenset({"main.js", "theme.js", "vendor/uplot/uPlot.esm.js"})
"""The scripts that the document names itself, and those that not every view needs."""

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
)
"""Nothing comes from other hosts, and no text of a model can become a script."""

_REVALIDATED = "no-cache"
_FOREVER = "public, max-age=31536000, immutable"

_GZIP_LEVEL = 9


@frozen
class PageFile:
    """
    A file of the page.

    Attributes:
        content_type: its content type.
        body: its bytes.
        compressed: the same by gzip; empty if they are not shorter.
        etag: identifies the bytes.
        cache_control: how long browsers keep it.
    """

    content_type: str
    body: bytes
    compressed: bytes
    etag: str
    cache_control: str


class PageFiles:
    """
    The files, in memory.

    Their path contains a hash of all of them: a browser keeps them for good, and never runs files of two versions of
    the registry together.

    Attributes:
        index: the document.
        release: the hash.
        files: the other files, by path.
    """

    def __init__(self, folder: Traversable | None = None) -> None:
        """

        Args:
            folder: where they are; ``None`` for those of this package.
        """
        found = dict(_read(files(__package__) / "page" if folder is None else folder))
        hashed = hashlib.sha256()
        for path, body in sorted(found.items()):
            hashed.update(b"%s\0%d\0" % (path.encode(), len(body)))
            hashed.update(body)
        self.release = hashed.hexdigest()[:16]
        index = found.pop(_INDEX).replace(b"</head>", _preloads(found) + b"</head>")
        index = index.replace(b'"page/', b'"page/%s/' % self.release.encode())
        self.index = _page_file(_INDEX, index, _REVALIDATED)
        self.files: Mapping[str, PageFile] = {path: _page_file(path, body, _FOREVER) for path, body in found.items()}


def _read(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _read(entry, f"{prefix}{entry.name}/")
        elif entry.name.rpartition(".")[2] in _TYPES:
            yield f"{prefix}{entry.name}", entry.read_bytes()


def _preloads(paths: Iterable[str]) -> bytes:
    # A browser would find the modules one after another, with a round trip for each step.
    modules = sorted(path for path in paths if path.endswith(".js") and path not in _NOT_AT_ONCE)
    return "".join(f'<link rel="modulepreload" href="page/{path}">\n' for path in modules).encode()


def _page_file(path: str, body: bytes, cache_control: str) -> PageFile:
    compressed = gzip.compress(body, _GZIP_LEVEL, mtime=0)
    return PageFile(
        content_type=_TYPES[path.rpartition(".")[2]],
        body=body,
        compressed=compressed if len(compressed) < len(body) else b"",
        etag=hashlib.sha256(body).hexdigest()[:16],
        cache_control=cache_control,
    )


class StaticPage(Page):
    """
    One file.
    """

    exists = True

    def __init__(self, file: PageFile) -> None:
        super().__init__()
        self._file = file

    def show(self, request: BoundedRequest) -> None:
        """See ``Page.show``."""
        file = self._file
        is_compressed = bool(file.compressed) and _accepts_gzip(request)
        request.setHeader(b"cache-control", file.cache_control.encode())
        request.setHeader(b"content-security-policy", _POLICY.encode())
        request.setHeader(b"cross-origin-opener-policy", b"same-origin")
        request.setHeader(b"vary", b"accept-encoding")
        etag = f'"{file.etag}-gzip"' if is_compressed else f'"{file.etag}"'
        if request.setETag(etag.encode()) is CACHED:
            return
        if is_compressed:
            request.setHeader(b"content-encoding", b"gzip")
        request.write_body(file.content_type, file.compressed if is_compressed else file.body)


def _accepts_gzip(request: BoundedRequest) -> bool:
    for value in request.header_values("accept-encoding"):
        for part in value.split(","):
            name, _, parameters = part.partition(";")
            if name.strip().lower() == "gzip":
                return parameters.replace(" ", "").lower() not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


class PageFolder(Page):
    """
    The files of one release, below its hash.
    """

    isLeaf = True
    exists = True

    def __init__(self, found: PageFiles) -> None:
        super().__init__()
        self._found = found
        self._pages = {path: StaticPage(file) for path, file in found.files.items()}

    def show(self, request: BoundedRequest) -> None:
        """See ``Page.show``."""
        release, _, path = b"/".join(request.postpath or ()).decode("latin-1").partition("/")
        page = self._pages.get(path) if release == self._found.release else None
        if page is None:
            request.reply(HTTPStatus.NOT_FOUND, "there is no such file; load the page again")
        else:
            page.show(request)


def page_resources() -> Mapping[str, Resource]:
    """
    Return the resources of the page, by the first part of their paths.
    """
    found = PageFiles()
    return {"": StaticPage(found.index), "page": PageFolder(found)}
