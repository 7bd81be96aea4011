"""
The keys of issuers, kept while they are read again.
"""

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from threading import BoundedSemaphore, Lock

from attrs import frozen
from twisted.logger import Logger

from twisted_registry.access.file_kinds import BadFile, FileKind
from twisted_registry.access.files import WatchedFiles
from twisted_registry.access.issuers.issuer import KeySource
from twisted_registry.access.issuers.jwt_keys import BadKey, KeySet
from twisted_registry.access.issuers.web_documents import DOCUMENT_MAX_BYTES, CannotFetch, Fetcher
from twisted_registry.domain.errors import Unavailable, shown

_log = Logger()

KEYS_FILE = FileKind("key set", DOCUMENT_MAX_BYTES, is_trusted=True)
_TOKEN_FILE = FileKind("token of the registry", 64 * 1024)

_CONFIGURATION = "/.well-known/openid-configuration"

_AGE_SECONDS = 300.0
"""The age at which keys are fetched again."""

_RETRY_SECONDS = 30.0
"""The time between attempts while they cannot be fetched."""

_PAUSE_SECONDS = 5.0
"""The time between two fetches because of tokens whose key is not known: anyone can make such tokens."""


class FileKeys:
    """
    Keys in a file.
    """

    def __init__(self, path: Path, changed: Callable[[], None]) -> None:
        """

        Args:
            path: the path of the file, which is read.
            changed: called after a change of the keys.

        Raises:
            BadFile: it cannot be used.
        """
        self._path = path
        self._files = WatchedFiles([(KEYS_FILE, path)], self._use)
        self._changed: Callable[[], None] = lambda: None
        self._files.load()
        self._changed = changed

    def _use(self, content: bytes) -> None:
        try:
            keys = KeySet(content)
        except BadKey as error:
            raise KEYS_FILE.bad(self._path, f"cannot be used: {error}") from None
        for note in keys.notes:
            _log.warn("the key set {path}: {note}", path=self._path, note=note)
        self._keys = keys
        self._changed()

    def current(self) -> KeySet:
        """See ``Keys.current``."""
        return self._keys

    def newer(self) -> KeySet:
        """See ``Keys.newer``."""
        return self._keys  # a change is noticed within seconds

    def is_due(self) -> bool:
        """See ``Keys.is_due``."""
        return True

    def refresh(self) -> None:
        """See ``Keys.refresh``."""
        self._files.check()


@frozen
class _Document:
    """
    The fetcher of one issuer's keys.
    """

    source: KeySource
    fetcher: Fetcher

    def fetch(self) -> bytes:
        """
        Return the key set.

        Raises:
            CannotFetch: it cannot be fetched.
        """
        source = self.source
        if source.url:
            return self._fetch(source.url, self._token())
        configuration = source.issuer.rstrip("/") + _CONFIGURATION
        url = self._url_in(self._fetch(configuration, self._token()))
        if url.partition(":")[0] != configuration.partition(":")[0]:
            raise CannotFetch(f"{configuration} names keys at {shown(url)}, which has another scheme")
        return self._fetch(url)

    def _fetch(self, url: str, token: str = "") -> bytes:
        try:
            return self.fetcher.fetch(url, self.source.ca_file, token)
        except CannotFetch as error:
            raise CannotFetch(f"{url}: {error}") from None

    def _token(self) -> str:
        if not self.source.token_file:
            return ""
        try:
            return _TOKEN_FILE.read(Path(self.source.token_file)).decode("ascii").strip()
        except (BadFile, ValueError) as error:
            raise CannotFetch(str(error)) from None

    def _url_in(self, content: bytes) -> str:
        try:
            configuration = json.loads(content)
            issuer, url = configuration["issuer"], configuration["jwks_uri"]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise CannotFetch(
                "the server's answer is not an OpenID configuration with 'issuer' and 'jwks_uri'"
            ) from None
        if issuer != self.source.issuer:
            raise CannotFetch(
                f"the configuration is that of {shown(issuer)}; if it is the right one, write the issuer in the policy "
                "exactly so"
            )
        return str(url)


class RemoteKeys:
    """
    Keys that are fetched.  Those known stay in force while they cannot be fetched.
    """

    def __init__(
        self,
        name: str,
        source: KeySource,
        changed: Callable[[], None],
        waiting: BoundedSemaphore,
        fetcher: Fetcher | None = None,
        now_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """

        Args:
            name: the name of the issuer, for log lines and errors.
            source: where its keys are.
            changed: called after a change of the keys.
            waiting: limits how many threads fetch keys while a call waits.
            fetcher: fetches documents.
            now_seconds: returns the time in seconds.
        """
        self._name = name
        self._document = _Document(source, fetcher or Fetcher())
        self._changed = changed
        self._waiting = waiting
        self._now_seconds = now_seconds
        self._lock = Lock()
        self._keys: KeySet | None = None
        self._fetched_seconds = -math.inf
        self._problem = ""

    def current(self) -> KeySet:
        """See ``Keys.current``."""
        keys = self._keys
        if keys is None:
            # The first calls after a start need not fail, if the issuer answers.
            return self.newer()
        return keys

    def newer(self) -> KeySet:
        """See ``Keys.newer``."""
        if self._lock.locked() or self._is_older(_PAUSE_SECONDS):
            if not self._waiting.acquire(blocking=False):
                raise self._unavailable("are being fetched")
            try:
                with self._lock:  # after the fetch that is under way, if there is one
                    if self._is_older(_PAUSE_SECONDS):
                        self._fetch()
            finally:
                self._waiting.release()
        if self._keys is None or self._problem:
            raise self._unavailable(f"cannot be fetched ({self._problem})")
        return self._keys

    def _is_older(self, seconds: float) -> bool:
        return self._now_seconds() - self._fetched_seconds >= seconds

    def _unavailable(self, what: str) -> Unavailable:
        return Unavailable(f"the keys of the issuer {self._name!r} {what}; try again")

    def is_due(self) -> bool:
        """See ``Keys.is_due``."""
        return self._is_older(_RETRY_SECONDS if self._problem else _AGE_SECONDS)

    def refresh(self) -> None:
        """See ``Keys.refresh``."""
        with self._lock:
            if self.is_due():
                self._fetch()

    def _fetch(self) -> None:
        try:
            self._put(KeySet(self._document.fetch()))
        except (CannotFetch, BadKey) as error:
            if str(error) != self._problem:
                in_force = "those fetched before stay in force" if self._keys else "its tokens cannot be checked"
                _log.error(
                    "cannot fetch the keys of the issuer {name}: {error}; {in_force}; check its address and the "
                    "network",
                    name=self._name,
                    error=error,
                    in_force=in_force,
                )
            self._problem = str(error)
        finally:
            self._fetched_seconds = self._now_seconds()

    def _put(self, keys: KeySet) -> None:
        was, self._keys = self._keys, keys
        has_changed = was is None or not keys.has_same_keys(was)
        if has_changed:
            for note in keys.notes:
                _log.warn("the keys of the issuer {name}: {note}", name=self._name, note=note)
        if has_changed or self._problem:
            _log.info("the issuer {name} has {count} keys", name=self._name, count=len(keys.keys))
        self._problem = ""
        if has_changed and was is not None:
            self._changed()
