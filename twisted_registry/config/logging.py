"""
Settings of the log.
"""

from attrs import frozen

from twisted_registry.config.setting import setting
from twisted_registry.config.values import one_of

LOG_LEVELS = ("debug", "info", "warn", "error", "critical")
LOG_FORMATS = ("text", "json")


@frozen
class LoggingSettings:
    """
    Settings of the log.

    Attributes:
        level: one of ``LOG_LEVELS``.
        format: one of ``LOG_FORMATS``.
    """

    level: str = setting("log-level", one_of(LOG_LEVELS), "lowest level that is logged", "info")
    format: str = setting("log-format", one_of(LOG_FORMATS), "text, or json: one object per line", "text")
