"""Log warnings that a flood cannot multiply."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from shared.text import plural

__all__ = ["LogLimiter"]

# Seconds, and lines of each kind that are logged in them.
LOG_INTERVAL = 60.0
MAX_LOG_LINES = 10


class _Interval:
    """The warnings of one kind since a moment."""

    def __init__(self, end: float) -> None:
        self.end = end
        self.lines = 0
        self.held = 0  # Warnings that were not logged,
        self.points = 0  # and the points that they concern.


class LogLimiter:
    """Logs the first warnings of each kind in a minute; the next one says how many more there were.

    There is no timer: the Functions host drops what is logged outside a running invocation.
    """

    def __init__(self, log: logging.Logger, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._intervals: dict[str, _Interval] = {}

    def warn(self, kind: str, points: int, text: str, level: int = logging.WARNING) -> None:
        """Log a warning, or an error, that concerns some points; there are few kinds."""
        now = self._clock()
        interval = self._intervals.get(kind)
        if interval is None or now >= interval.end:
            if interval is not None and interval.held:
                held, of = plural(interval.held, "more warning"), plural(interval.points, "point")
                text = f"{text} (and {held} before, of {of})"
            interval = self._intervals[kind] = _Interval(now + LOG_INTERVAL)
        if interval.lines < MAX_LOG_LINES:
            interval.lines += 1
            self._log.log(level, "%s: %s", kind, text)
        else:
            interval.held += 1
            interval.points += points
