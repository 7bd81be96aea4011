"""
The lines that are logged during a test.
"""

from typing import Any

from twisted.logger import LogEvent, formatEvent, globalLogPublisher


class LoggedLines:
    """
    The lines that are logged until the test ends.
    """

    def __init__(self, test: Any) -> None:
        """

        Args:
            test: the test case.
        """
        self._events: list[LogEvent] = []
        observer: Any = self._events.append
        globalLogPublisher.addObserver(observer)
        test.addCleanup(globalLogPublisher.removeObserver, observer)

    def of(self, namespace: str) -> list[str]:
        """
        Return the lines of a package.
        """
        return [formatEvent(event) for event in self._events if str(event.get("log_namespace")).startswith(namespace)]
