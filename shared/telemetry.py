"""The relay's metrics on itself, and warnings that a flood cannot multiply.

The metrics are value sets by series and minute, on the app's own resource, in the namespace
MetricRelay. They are sent when their minute is over, and again while the store would take them.
They count nowhere, and are not subject to allowed scopes and series limit.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime, timedelta

from shared.background import run_in_background
from shared.model import Dimensions, Rollup, Series, Status, Submit, Target, ValueSet, minute_of
from shared.text import plural

__all__ = ["METRICS", "NAMESPACE", "LogLimiter", "Record", "Telemetry", "ignore"]

LOG = logging.getLogger(__name__)

NAMESPACE = "MetricRelay"

# Metric -> description, unit, dimensions.
METRICS: Mapping[str, str] = {
    "MessagesDrained": "messages settled",
    "PointsPublished": "points that the store accepted",
    "PointsDeferred": "points that are retried later, each time they are",
    "PointsRejected": "points and unreadable parts of messages that were dead-lettered, by Reason",
    "PublishLatency": "seconds from enqueueing a message to its publication",
    "Posts": "requests to the store, by Status",
    "PostDuration": "seconds that a request took, by Status",
    "BatchSize": "samples in a request",
    "ActiveSeries": "active series, by Subscription and Region",
    "SampleDuration": "seconds that a sample took, by Source",
    "SamplePoints": "points of a sample, by Source",
    "SampleErrors": "errors of a sample, by Source",
}

Record = Callable[..., None]
"""record(metric, value, **dimensions): adds a value to the metric's current minute."""

Gauges = Callable[[], Iterable[tuple[str, float, dict[str, str]]]]
"""Returns metric, value and dimensions of what is measured once a minute."""

_MINUTE = timedelta(minutes=1)
# Roll-ups that wait to be sent again: one a minute, and those of sources.
MAX_KEPT = 1_000
# Seconds, and lines of each kind that are logged in them.
LOG_INTERVAL = 60.0
MAX_LOG_LINES = 10


def ignore(metric: str, value: float, **dimensions: str) -> None:
    """Record nothing."""


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


@dataclass
class Telemetry:
    """Records on the event loop that uses it; without a target it records nothing."""

    target: Target | None
    submit: Submit
    _: KW_ONLY
    clock: Callable[[], datetime]
    gauges: Gauges = tuple
    past: timedelta = timedelta(minutes=20)  # Age at which a value is dropped.
    # min, max, sum and count so far.
    _values: dict[tuple[datetime, str, Dimensions], list[float]] = field(
        init=False, default_factory=dict
    )
    _deferred: list[Rollup] = field(init=False, default_factory=list)
    _held_warnings: list[tuple[str, int, str]] = field(init=False, default_factory=list)
    _timer: asyncio.TimerHandle | None = field(init=False, default=None)
    _warnings: LogLimiter = field(init=False, default_factory=lambda: LogLimiter(LOG))

    def record(self, metric: str, value: float, **dimensions: str) -> None:
        """Add a value to the metric's current minute; it is sent within a minute."""
        # Here an invocation runs; what is logged between two would not be shown.
        for warning in self._held_warnings:
            self._warnings.warn(*warning)
        self._held_warnings.clear()
        if self.target is None:
            return
        now = self.clock()
        key = minute_of(now), metric, tuple(sorted(dimensions.items()))
        known = self._values.get(key)
        if known is None:
            self._values[key] = [value, value, value, 1]
            self._send_at(key[0] + _MINUTE, now)
        else:
            known[:] = (min(known[0], value), max(known[1], value), known[2] + value, known[3] + 1)

    def report(self, *rollups: Rollup) -> None:
        """Send these roll-ups, and the minutes that are over, in the background."""
        run_in_background(self.send(*rollups))

    async def send(self, *rollups: Rollup) -> None:
        """Send these roll-ups, the minutes that are over, and what was deferred. Never raises."""
        try:
            waiting = [*self._deferred, *rollups, *self._finished_minutes()]
            self._deferred = []
            results = await self.submit(waiting) if waiting else []
        except Exception:
            LOG.exception("Unexpected error while sending the relay's own metrics")
            results = []
        for rollup, outcome in results:
            if outcome.status is not Status.PUBLISHED:
                text = f"{plural(rollup.points, 'value')}: {outcome.detail}"
                kind = f"The relay's own metrics were {outcome.status}"
                self._held_warnings = [*self._held_warnings, (kind, rollup.points, text)][
                    -MAX_KEPT:
                ]
            if outcome.status is Status.DEFERRED:
                self._keep_deferred(rollup)
        if self._deferred:
            now = self.clock()
            self._send_at(now + _MINUTE, now)

    def _keep_deferred(self, rollup: Rollup) -> None:
        """Keep what is deferred, without the minutes that the store would no longer take."""
        oldest = self.clock() - self.past
        minutes = {minute: one for minute, one in rollup.minutes.items() if minute > oldest}
        if minutes:
            self._deferred.append(Rollup(rollup.target, minutes))
        del self._deferred[:-MAX_KEPT]

    def _finished_minutes(self) -> list[Rollup]:
        """Take out the minutes that are over, with the gauges as they are now."""
        if self.target is None or not self._values:
            return []
        now = self.clock()
        finished = [key for key in self._values if key[0] < minute_of(now)]
        rollup = Rollup(self.target)
        for minute, metric, dimensions in finished:
            least, most, total, count = self._values.pop((minute, metric, dimensions))
            values = ValueSet(least, most, total, int(count))
            rollup.add(minute, Series.of(NAMESPACE, metric, dimensions), values)
        if finished:
            newest = max(minute for minute, _, _ in finished)
            for metric, value, given in self.gauges():
                series = Series.of(NAMESPACE, metric, tuple(sorted(given.items())))
                rollup.add(newest, series, value)
        if self._values:
            self._send_at(min(minute for minute, _, _ in self._values) + _MINUTE, now)
        return [rollup] if finished else []

    def _send_at(self, moment: datetime, now: datetime) -> None:
        if self._timer is None:
            seconds = max(0.0, (moment - now).total_seconds())
            self._timer = asyncio.get_running_loop().call_later(seconds, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.report()
