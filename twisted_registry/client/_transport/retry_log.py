"""
The log of retries: when a registry is lost, for how long calls are repeated, and when it is back.

The trackers of a process lose their server together, so the lines are about the server.  A line about a single model is
written only if the error is about that model.
"""

import logging
import math
import time
from collections.abc import Callable

from attrs import define, field

from twisted_registry.client.errors import (
    ArchiveChanged,
    Overloaded,
    QuotaExceeded,
    StorageUnavailable,
    UnknownAlias,
    UnknownModel,
)
from twisted_registry.domain.errors import shown

_log = logging.getLogger("twisted_registry.client")
_tries = logging.getLogger("twisted_registry.client.tries")

# A library leaves it to the program whether and where lines appear.
_log.addHandler(logging.NullHandler())

Subject = tuple[str, str]
"""The address of a registry, and the id of a model; empty for the registry itself."""

LINE_SECONDS = 60.0
_MOST_OUTAGES = 1000
_MOST_ADDRESSES = 1000
_MOST_MISSED = 10
"""The most models whose latest version is named after an absence, within a minute."""

_ARCHIVE = "\0archive"
"""The archive of a registry, in the place of a model's id."""

_OF_MODEL = (StorageUnavailable, Overloaded, QuotaExceeded, UnknownModel, UnknownAlias)
"""The errors that say nothing about other models of the registry."""


@define
class _Outage:
    """
    Consecutive failures of calls to one registry, or about one model.

    Attributes:
        next_line: the earliest time of the next line, by the clock.
        began: the time of the first failure; ``None`` while calls succeed.
        tries: how many calls have failed.
        models: the ids of the models that they were about.
        level: the highest level of a line about this outage; 0 if there is none.
        has_warned: whether a line says that the registry serves another archive.
    """

    next_line: float
    began: float | None = None
    tries: int = 0
    models: set[str] = field(factory=set)
    level: int = 0
    has_warned: bool = False

    def begin(self, now: float) -> float:
        self.began, self.tries, self.level = now, 0, 0
        self.models.clear()
        return now


class RetryLog:
    """
    The log of retries: a line at the first failure, then one a minute, and one when calls succeed again.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """
        Start with no outages.

        Args:
            clock: returns the time in seconds.
        """
        self._clock = clock
        self._outages: dict[Subject, _Outage] = {}
        self._reached: set[str] = set()
        self._missed: dict[Subject, int] = {}
        self._missed_until = -math.inf

    def failed(self, subject: Subject, error: BaseException | None, retry_seconds: float | None = None) -> None:
        """
        Record a failure after which the call is retried.

        Args:
            subject: what the call is about.
            error: why it failed.
            retry_seconds: for how long it is retried; ``None`` for no limit.
        """
        _tries.debug("trying again: %s (%s)", error, _named(subject))
        now, key = self._clock(), _key_of(subject, error)
        outage = self._outage(key, now)
        began = outage.begin(now) if outage.began is None else outage.began
        outage.tries += 1
        if subject[1] and len(outage.models) < _MOST_OUTAGES:
            outage.models.add(subject[1])
        is_archive = isinstance(error, ArchiveChanged) and not outage.has_warned
        if now < outage.next_line and not is_archive:
            return
        outage.next_line = now + LINE_SECONDS
        outage.has_warned = outage.has_warned or is_archive
        away_seconds = now - began
        level = logging.WARNING if is_archive or away_seconds >= LINE_SECONDS else logging.INFO
        outage.level = max(outage.level, level)
        _log.log(
            level,
            "%s%s; trying again %s: %s",
            self._problem(key, outage),
            f" for {away_seconds:.0f} s" if outage.tries > 1 else "",
            "until it is back" if retry_seconds in (None, math.inf) else f"for {retry_seconds:g} s",
            error,
        )

    def succeeded(self, subject: Subject) -> None:
        """
        Record a success.
        """
        address = subject[0]
        if address not in self._reached:
            if len(self._reached) >= _MOST_ADDRESSES:
                self._reached.clear()
            self._reached.add(address)
        if not self._outages:
            return
        # Some calls about no model are answered for any archive.
        ended = ((address, ""), subject, (address, _ARCHIVE)) if subject[1] else (subject,)
        for key in ended:
            outage = self._outages.get(key)
            if outage is not None and outage.began is not None:
                self._end(key, outage, outage.began)

    def missed(self, subject: Subject, before: int, after: int) -> None:
        """
        Record that a tracker is connected again, and that its model has another latest version.  Trackers of one model
        share the line.

        Args:
            before: the number of the version before the connection was lost.
            after: its number now.
        """
        now = self._clock()
        if now >= self._missed_until:  # they do not come back at the same moment
            self._missed, self._missed_until = {}, now + LINE_SECONDS
        if self._missed.get(subject) == after or len(self._missed) >= _MOST_MISSED:
            return
        self._missed[subject] = after
        lost = "; the registry lost versions that were not archived" if after < before else ""
        _log.info("%s: version %d follows version %d of before the absence%s", _named(subject), after, before, lost)

    def _problem(self, key: Subject, outage: _Outage) -> str:
        address, model_id = key
        if model_id not in ("", _ARCHIVE):
            return f"{_named(key)} cannot be used"
        about = _about(outage.models)
        if model_id == _ARCHIVE:
            return f"the registry at {address} cannot be used{about}"
        if outage.tries > 1:
            return f"there is still no connection to the registry at {address}{about}"
        if address in self._reached:
            return f"the connection to the registry at {address} is lost{about}"
        return f"the registry at {address} cannot be reached{about}"

    def _end(self, key: Subject, outage: _Outage, began: float) -> None:
        is_shared = key[1] in ("", _ARCHIVE)
        about = _about(outage.models) if is_shared else ""
        if outage.level:
            _log.log(
                outage.level,
                "%s is back%s, after %.0f s and %d failed tries",
                _named((key[0], "")) if is_shared else _named(key),
                about,
                self._clock() - began,
                outage.tries,
            )
        outage.began, outage.has_warned = None, False

    def _outage(self, key: Subject, now: float) -> _Outage:
        if key not in self._outages:
            if len(self._outages) >= _MOST_OUTAGES:
                self._outages.clear()
            self._outages[key] = _Outage(now)
        return self._outages[key]


def _key_of(subject: Subject, error: BaseException | None) -> Subject:
    """
    Return the subject of the lines about an error.
    """
    if isinstance(error, _OF_MODEL):
        return subject
    return subject[0], _ARCHIVE if isinstance(error, ArchiveChanged) else ""


def _named(subject: Subject) -> str:
    address, model_id = subject
    return f"model {shown(model_id)} at {address}" if model_id else f"the registry at {address}"


def _about(models: set[str]) -> str:
    if not models:
        return ""
    return f" ({len(models)} models)" if len(models) > 1 else f" (model {shown(next(iter(models)))})"


retry_log = RetryLog()
