"""The relay's metrics on itself, and log warnings that a flood cannot multiply.

The metrics are value sets by series and minute, on the app's own resource, in the namespace
MetricRelay. They are sent when their minute is over, and again while the store would take them.
They count nowhere, and are not subject to allowed scopes and series limit.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from shared.model import (
    Dimensions,
    Outcome,
    Rollup,
    Series,
    Status,
    Target,
    ValueSet,
    minute_of,
)
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


class _Accumulator:
    """The samples of one series and minute so far."""

    __slots__ = ("count", "max", "min", "sum")

    def __init__(self, value: float) -> None:
        self.min = self.max = self.sum = value
        self.count = 1

    def add(self, value: float) -> None:
        self.min, self.max = min(self.min, value), max(self.max, value)
        self.sum += value
        self.count += 1


class Telemetry:
    """Records on the event loop that uses it; without a target it records nothing."""

    def __init__(
        self,
        target: Target | None,
        submit: Callable[[Sequence[Rollup]], Awaitable[list[tuple[Rollup, Outcome]]]],
        *,
        gauges: Gauges = tuple,
        past: timedelta = timedelta(minutes=20),
        clock: Callable[[], datetime],
    ) -> None:
        """`past` is how old a value may become before it is dropped."""
        self._target = target
        self._submit = submit
        self._gauges = gauges
        self._past = past
        self._clock = clock
        self._values: dict[tuple[datetime, str, Dimensions], _Accumulator] = {}
        self._kept: list[Rollup] = []
        self._timer: asyncio.TimerHandle | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._warnings = LogLimiter(LOG)

    def record(self, metric: str, value: float, **dimensions: str) -> None:
        """Add a value to the metric's current minute; it is sent within a minute."""
        if self._target is None:
            return
        now = self._clock()
        key = minute_of(now), metric, tuple(sorted(dimensions.items()))
        known = self._values.get(key)
        if known is None:
            self._values[key] = _Accumulator(value)
            self._send_at(key[0] + _MINUTE, now)
        else:
            known.add(value)

    def report(self, rollup: Rollup) -> None:
        """Send a roll-up in the background."""
        self._start(rollup)

    async def send(self, *rollups: Rollup) -> None:
        """Send these roll-ups, the minutes that are over, and what was deferred. Never raises."""
        try:
            waiting = [*self._kept, *rollups, *self._finished_minutes()]
            self._kept = []
            results = await self._submit(waiting) if waiting else []
        except Exception:
            LOG.exception("Unexpected error while sending the relay's own metrics")
            results = []
        for rollup, outcome in results:
            if outcome.status is not Status.PUBLISHED:
                text = f"{plural(rollup.points, 'value')}: {outcome.detail}"
                kind = f"own metrics {outcome.status}"
                self._warnings.warn(kind, rollup.points, text)
            if outcome.status is Status.DEFERRED:
                self._keep(rollup)
        if self._kept:
            now = self._clock()
            self._send_at(now + _MINUTE, now)

    def _keep(self, rollup: Rollup) -> None:
        """Keep what is deferred, without the minutes that the store would no longer take."""
        oldest = self._clock() - self._past
        minutes = {minute: one for minute, one in rollup.minutes.items() if minute > oldest}
        if minutes:
            self._kept.append(Rollup(rollup.target, minutes))
        del self._kept[:-MAX_KEPT]

    def _finished_minutes(self) -> list[Rollup]:
        """Take out the minutes that are over, with the gauges as they are now."""
        if self._target is None or not self._values:
            return []
        now = self._clock()
        finished = [key for key in self._values if key[0] < minute_of(now)]
        rollup = Rollup(self._target)
        for minute, metric, dimensions in finished:
            found = self._values.pop((minute, metric, dimensions))
            values = ValueSet(found.min, found.max, found.sum, found.count)
            rollup.add(minute, Series.of(NAMESPACE, metric, dimensions), values)
        if finished:
            newest = max(minute for minute, _, _ in finished)
            for metric, value, given in self._gauges():
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
        self._start()

    def _start(self, *rollups: Rollup) -> None:
        # The loop holds its tasks weakly: one that nothing else holds may vanish.
        task = asyncio.get_running_loop().create_task(self.send(*rollups))
        self._running.add(task)
        task.add_done_callback(self._running.discard)


class _Interval:
    """The lines of one kind since a moment."""

    def __init__(self, end: float) -> None:
        self.end = end
        self.lines = 0
        self.held_lines = 0
        self.held_count = 0


class LogLimiter:
    """Logs the first warnings of each kind in a minute, then how many more there were."""

    def __init__(
        self,
        log: logging.Logger,
        *,
        interval: float = LOG_INTERVAL,
        max_lines: int = MAX_LOG_LINES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._length = interval
        self._max_lines = max_lines
        self._clock = clock
        self._intervals: dict[str, _Interval] = {}

    def warn(self, kind: str, count: int, text: str) -> None:
        """Log a warning of a kind that concerns `count` points; there are few kinds."""
        interval = self._intervals.get(kind)
        if interval is None or self._clock() >= interval.end:
            self._close(kind)
            interval = self._intervals[kind] = _Interval(self._clock() + self._length)
        if interval.lines < self._max_lines:
            interval.lines += 1
            self._log.warning("%s: %s", _sentence_case(kind), text)
            return
        if not interval.held_lines:
            wait = max(0.0, interval.end - self._clock())
            asyncio.get_running_loop().call_later(wait, self._close, kind, interval)
        interval.held_lines += 1
        interval.held_count += count

    def _close(self, kind: str, interval: _Interval | None = None) -> None:
        """Log what was held back, unless a newer interval has begun."""
        current = self._intervals.get(kind)
        if current is None or interval not in (None, current):
            return
        del self._intervals[kind]
        if current.held_lines:
            self._log.warning(
                "%s: %d more warnings in the last %g s, about %d points",
                _sentence_case(kind),
                current.held_lines,
                self._length,
                current.held_count,
            )


def _sentence_case(text: str) -> str:
    return text[:1].upper() + text[1:]
