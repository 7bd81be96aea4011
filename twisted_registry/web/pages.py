"""
The pages that need no sign-in: metrics, probes and the version.
"""

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from twisted.web.resource import IResource, Resource

from twisted_registry.web.errors import failed_call, write_error
from twisted_registry.web.requests import NOT_DONE_YET, BoundedRequest

_READING = (b"GET", b"HEAD")


class Page(Resource):
    """
    A resource that can only be read.  Nothing is below it, unless a subclass adds children.

    Attributes:
        exists: whether there is a page here.
    """

    exists = False

    def render(self, request: Any) -> Any:
        """
        Answer a request.
        """
        if request.method not in _READING and self.exists:
            request.setHeader(b"allow", b", ".join(_READING))
            request.reply(HTTPStatus.METHOD_NOT_ALLOWED, "this page can only be read: use GET or HEAD")
        elif self.show(request) is NOT_DONE_YET:
            return NOT_DONE_YET
        request.finish()
        return NOT_DONE_YET

    def show(self, request: BoundedRequest) -> int | None:
        """
        Write the page.

        Returns:
            ``NOT_DONE_YET`` if the page finishes the request later.
        """
        request.reply(HTTPStatus.NOT_FOUND, "there is no such page")
        return None

    def getChild(self, path: bytes, request: Any) -> IResource:  # noqa: N802
        """
        Return the page for a path that has none.
        """
        return Page()


class LivePage(Page):
    """
    The page that shows that the reactor runs.
    """

    exists = True

    def show(self, request: BoundedRequest) -> None:
        """See ``Page.show``."""
        request.reply(HTTPStatus.OK, "ok")


class ReadyPage(Page):
    """
    The page that shows whether the registry serves, or why not.
    """

    exists = True

    def __init__(self, problem: Callable[[], str], write_problem: Callable[[], str] | None = None) -> None:
        """

        Args:
            problem: returns why the registry does not serve; empty if it does.
            write_problem: returns why it stores nothing, for a page below this one; ``None`` for no such page.
        """
        super().__init__()
        self._problem = problem
        if write_problem is not None:
            self.putChild(b"writes", ReadyPage(write_problem))

    def show(self, request: BoundedRequest) -> None:
        """See ``Page.show``."""
        problem = self._problem()
        request.reply(HTTPStatus.SERVICE_UNAVAILABLE if problem else HTTPStatus.OK, problem or "ok")


class VersionPage(Page):
    """
    The page with the version of the registry.
    """

    exists = True

    def __init__(self, version: str) -> None:
        super().__init__()
        self._body = json.dumps({"version": version}).encode() + b"\n"

    def show(self, request: BoundedRequest) -> None:
        """See ``Page.show``."""
        request.write_body("application/json", self._body)


class MetricsPage(Page):
    """
    The page with the metrics.
    """

    exists = True

    def __init__(
        self,
        render: Callable[[str], "Deferred[tuple[str, bytes]]"],
        permit: Callable[[BoundedRequest], "Deferred[Any]"] = lambda request: succeed(None),
    ) -> None:
        """

        Args:
            render: returns the content type and the text, for the header ``Accept``.
            permit: fires if the caller may read the status of the server, and fails if not.
        """
        super().__init__()
        self._render = render
        self._permit = permit

    def show(self, request: BoundedRequest) -> int:
        """See ``Page.show``."""
        accept = b",".join(request.requestHeaders.getRawHeaders(b"accept", []))

        def write(result: tuple[str, bytes]) -> None:
            if request.is_open:
                request.write_body(*result)
                request.finish()

        def refuse(failure: Failure) -> None:
            failed = failed_call(failure)
            if request.is_open:
                write_error(request, failed)

        def show(_: Any) -> "Deferred[Any]":
            rendering = self._render(accept.decode("latin-1")).addCallback(write)
            return rendering.addErrback(request.processingFailed).addErrback(lambda _: None)

        self._permit(request).addCallbacks(show, refuse)
        return NOT_DONE_YET
