"""
Settings of the log.
"""

import re

from attrs import frozen

from twisted_registry.config.setting import setting
from twisted_registry.config.values import ValueType, one_of, seconds

LOG_LEVELS = ("debug", "info", "warn", "error", "critical")
LOG_FORMATS = ("text", "json")

_OFF, _ERRORS, _ALL = "off", "errors", "all"


def _parse_access_log(text: str) -> str:
    word = text.lower().replace(" ", "")
    if word in (_OFF, _ERRORS, _ALL) or re.fullmatch("1/[1-9][0-9]{0,6}", word):
        return word
    raise ValueError(text)


_ACCESS_LOG = ValueType("choice", f"{_OFF}, {_ERRORS}, {_ALL}, or a share such as 1/100", _parse_access_log)


@frozen
class LoggingSettings:
    """
    Settings of the log.

    Attributes:
        level: one of ``LOG_LEVELS``.
        format: one of ``LOG_FORMATS``.
        access_log: ``off``, ``errors``, ``all``, or a share such as ``1/100``.
        access_log_slow_seconds: how long a call with one reply takes if it is slow.
    """

    level: str = setting("log-level", one_of(LOG_LEVELS), "lowest level that is logged", "info")
    format: str = setting("log-format", one_of(LOG_FORMATS), "text, or json: one object per line", "text")
    access_log: str = setting(
        "access-log",
        _ACCESS_LOG,
        "which calls are logged: none, those that failed or were slow, all, or these and a random share of the others",
        "",
        "all if --log-level is debug, otherwise off",
    )
    access_log_slow_seconds: float = setting(
        "access-log-slow-seconds", seconds(0.001), "how long a call with one reply takes if it is slow", 1.0, "1"
    )

    def __attrs_post_init__(self) -> None:
        """
        Compute the default that depends on another setting.
        """
        if not self.access_log:
            object.__setattr__(self, "access_log", _ALL if self.level == "debug" else _OFF)

    @property
    def logs_calls(self) -> bool:
        """
        True if there is an access log.
        """
        return self.access_log != _OFF

    @property
    def access_log_share(self) -> float:
        """
        The share of calls that are logged however they end, from 0 to 1.
        """
        if self.access_log in (_OFF, _ERRORS):
            return 0.0
        return 1.0 if self.access_log == _ALL else 1 / int(self.access_log.partition("/")[2])
