"""The relay's metrics on itself: a value set of each series and minute, on the app's own resource.

In the namespace MetricRelay; `METRICS` says what there is. They are sent past fence and guard,
once their minute is over, and again while the store would take them. They are counted nowhere,
and whatever becomes of them is no failure of what they measure.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from shared.batch import batches
from shared.log_limit import LogLimit
from shared.model import Dimensions, Lane, Point, Series, Status, Verdict
from shared.publisher.batcher import Submit

__all__ = ["METRICS", "NAMESPACE", "Record", "Telemetry", "unrecorded"]

LOG = logging.getLogger(__name__)

NAMESPACE = "MetricRelay"

# Metric -> what it is, its unit, and its dimensions.
METRICS: Mapping[str, str] = {
    "MessagesDrained": "messages settled",
    "PointsPublished": "points that the store accepted",
    "PointsDeferred": "points that have to wait, each time they have to",
    "PointsRejected": "points and unreadable parts of messages that were dead-lettered, by Reason",
    "PublishLatency": "seconds from enqueueing a message to its publication",
    "Posts": "requests to the store, by Status",
    "PostDuration": "seconds that a request took, by Status",
    "BatchSize": "points in a request",
    "ActiveSeries": "active series, by Subscription and Region",
    "SampleDuration": "seconds that a sample took, by Source",
    "SamplePoints": "points that it gave, by Source",
    "SampleErrors": "what of it could not be had, by Source",
}

Record = Callable[..., None]
"""record(metric, value, **dimensions): adds a value to the metric's current minute."""

Gauges = Callable[[], Iterable[tuple[str, float, dict[str, str]]]]

_MINUTE = timedelta(minutes=1)
# Points that wait to be sent again; those of a minute are some tens.
_MOST_KEPT = 5_000

_Key = tuple[datetime, str, Dimensions]


def unrecorded(metric: str, value: float, **dimensions: str) -> None:
    """What records where nothing is to be recorded."""


class _ValueSet:
    __slots__ = ("count", "max", "min", "sum")

    def __init__(self, value: float) -> None:
        self.min = self.max = self.sum = value
        self.count = 1

    def add(self, value: float) -> None:
        self.min, self.max = min(self.min, value), max(self.max, value)
        self.sum += value
        self.count += 1


class Telemetry:
    """Records on the event loop that it is used on; without a lane it records nothing."""

    def __init__(
        self,
        lane: Lane | None,
        submit: Submit,
        *,
        gauges: Gauges = tuple,
        keep: timedelta = timedelta(minutes=20),
        clock: Callable[[], datetime],
    ) -> None:
        """`keep` is how old a value may become while it cannot be sent."""
        self._lane = lane
        self._submit = submit
        self._gauges = gauges
        self._keep = keep
        self._clock = clock
        self._values: dict[_Key, _ValueSet] = {}
        self._kept: list[Point] = []
        self._timer: asyncio.TimerHandle | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._warnings = LogLimit(LOG)

    def record(self, metric: str, value: float, **dimensions: str) -> None:
        """Add a value to the metric's current minute; it is sent within a minute."""
        if self._lane is None:
            return
        now = self._clock()
        minute = now.replace(second=0, microsecond=0)
        pairs = tuple(sorted(dimensions.items()))
        held = self._values.get((minute, metric, pairs))
        if held is None:
            self._values[minute, metric, pairs] = _ValueSet(value)
            self._send_at(minute + _MINUTE, now)
        else:
            held.add(value)

    def report(self, points: Sequence[Point]) -> None:
        """Send these points soon, whatever becomes of them: nobody waits for that."""
        self._start(points)

    async def send(self, points: Sequence[Point] = ()) -> None:
        """Send these points, what was recorded in minutes that are over, and what was kept."""
        try:
            points = [*self._kept, *points, *self._over()]
            self._kept = []
            verdicts = await self._submit(batches(points)) if points else []
        except Exception:
            LOG.exception("Self-metrics were not sent")
            verdicts = []
        self._keep_deferred(verdicts)

    def _over(self) -> list[Point]:
        """Take out what was recorded in minutes that are over, with the gauges as they are now."""
        if self._lane is None or not self._values:
            return []
        now = self._clock()
        over = [key for key in self._values if key[0] < now.replace(second=0, microsecond=0)]
        if over:
            newest = max(minute for minute, _, _ in over)
            for metric, value, dimensions in self._gauges():
                key = (newest, metric, tuple(sorted(dimensions.items())))
                self._values[key] = _ValueSet(value)
                over.append(key)
        points = [self._point(self._lane, key, self._values.pop(key)) for key in over]
        if self._values:
            self._send_at(min(minute for minute, _, _ in self._values) + _MINUTE, now)
        return points

    def _point(self, lane: Lane, key: _Key, held: _ValueSet) -> Point:
        minute, metric, pairs = key
        series = Series.of(NAMESPACE, metric, pairs)
        return Point(lane, series, minute, held.min, held.max, held.sum, held.count)

    def _keep_deferred(self, verdicts: Iterable[Verdict]) -> None:
        now = self._clock()
        for verdict in verdicts:
            if verdict.status is Status.REJECTED:
                self._warnings.warn("self-metrics refused", len(verdict.points), verdict.detail)
            elif verdict.status is Status.DEFERRED:
                self._warnings.warn("self-metrics deferred", len(verdict.points), verdict.detail)
                self._kept += [one for one in verdict.points if now - one.time < self._keep]
        del self._kept[:-_MOST_KEPT]
        if self._kept:
            self._send_at(now + _MINUTE, now)

    def _send_at(self, moment: datetime, now: datetime) -> None:
        if self._timer is None:
            seconds = max(0.0, (moment - now).total_seconds())
            self._timer = asyncio.get_running_loop().call_later(seconds, self._due)

    def _due(self) -> None:
        self._timer = None
        self._start()

    def _start(self, points: Sequence[Point] = ()) -> None:
        # The loop holds its tasks weakly: one that nobody else holds may vanish.
        task = asyncio.get_running_loop().create_task(self.send(points))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
