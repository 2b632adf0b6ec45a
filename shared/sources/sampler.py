"""One tick of the timer: sample all sources that are due, and publish what comes in time."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import KW_ONLY, dataclass, field
from datetime import UTC, datetime, timedelta

from shared.background import run_in_background
from shared.clients.http import Deadline
from shared.errors import SourceError
from shared.model import Rollup, Series, Target
from shared.sources.base import Measurement, SampleError, Source
from shared.telemetry import NAMESPACE
from shared.text import plural

__all__ = ["CUT_OFF_AFTER", "DEADLINE", "MAX_POINTS", "Sample", "Sampler"]

LOG = logging.getLogger(__name__)

# Seconds in which a source may start requests, and the seconds after them until it is cut off;
# of a minute, enough is left to publish.
DEADLINE = 35.0
CUT_OFF_AFTER = 5.0
# Seconds after which a tick does not wait for its samples to be published: the timer runs no tick
# while the one before runs.
MAX_TICK_SECONDS = 55.0
# Points of one source and tick: the active series of a subscription and region.
# Source: "Custom metrics in Azure Monitor", quotas and limits.
MAX_POINTS = 50_000
# Errors of one source and tick that are logged; an account without a role has one for each queue.
MAX_LOGGED_ERRORS = 10
# Characters of an error, which may quote a response.
MAX_ERROR_LENGTH = 1_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Sample:
    """One result of a source: its measurements and its errors. Safe to use from two threads."""

    source: Source
    now: datetime
    points: int = field(init=False, default=0)
    errors: list[str] = field(init=False, default_factory=list)  # The first ones.
    error_count: int = field(init=False, default=0)
    _closed: bool = field(init=False, default=False)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.rollup = Rollup(self.source.destination.target)

    def take(self, deadline: Deadline) -> None:
        """Sample the source, until it ends, is closed, or has too many points; blocking."""
        try:
            for part in self.source.sample(self.now, deadline):
                if isinstance(part, SampleError):
                    self.add_error(part.text)
                elif self.points < MAX_POINTS:
                    self._add(part)
                else:
                    self.add_error(f"more than {MAX_POINTS:,} points; the rest is dropped")
                    return
                if self._closed:
                    return
        except SourceError as exc:
            self.add_error(str(exc))

    def add_error(self, text: str) -> None:
        """Add an error, unless the sample is closed."""
        with self._lock:
            if self._closed:
                return
            self.error_count += 1
            if len(self.errors) < MAX_LOGGED_ERRORS:
                self.errors.append(text[:MAX_ERROR_LENGTH])

    def close(self) -> None:
        """Drop what comes later."""
        with self._lock:
            self._closed = True

    def _add(self, measurement: Measurement) -> None:
        namespace = self.source.destination.namespace
        series = Series.of(namespace, measurement.metric, measurement.dimensions)
        with self._lock:
            if not self._closed:
                self.rollup.add(self.now, series, measurement.value)
                self.points += 1


@dataclass
class Sampler:
    """Samples sources in the threads of an executor; one that fails or hangs stops no other.

    The executor should have a thread for each source.
    """

    sources: Sequence[Source]
    publish: Callable[[Rollup], Awaitable[None]]
    executor: Executor
    _: KW_ONLY
    report: Callable[[Rollup], None]  # Gets metrics on sampling.
    own_target: Target | None  # Of these metrics; None for the target of the source.
    deadline: float = DEADLINE
    cut_off_after: float = CUT_OFF_AFTER
    clock: Callable[[], float] = time.monotonic
    # Source -> the last interval with a sample, and the last sample.
    _intervals: dict[str, int] = field(init=False, default_factory=dict)
    _running: dict[str, Future[None]] = field(init=False, default_factory=dict)
    _publishing: dict[str, asyncio.Future[None]] = field(init=False, default_factory=dict)

    async def sample(self, now: datetime) -> None:
        """Sample what is due, with the time `now` (UTC) rounded to a second.

        Each source is published as soon as it is sampled. Raises what publishing raised, after
        all sources have ended.
        """
        # A tick that is a moment early belongs to the minute that it was meant to open.
        now = (now + timedelta(milliseconds=500)).replace(microsecond=0)
        due = [source for source in self.sources if self._is_due(source, now)]
        calls = [self._sample_and_publish(source, now) for source in due]
        results = await asyncio.gather(*calls, return_exceptions=True)
        errors = [error for error in results if error is not None]
        for error in errors[1:]:
            LOG.error("Unexpected error while publishing a sample", exc_info=error)
        if errors:
            raise errors[0]

    def _is_due(self, source: Source, now: datetime) -> bool:
        """Return True once in each interval of `every`, whether ticks are early or late."""
        interval = (now - _EPOCH) // source.destination.every
        if self._intervals.get(source.name) == interval:
            return False
        self._intervals[source.name] = interval
        return True

    async def _sample_and_publish(self, source: Source, now: datetime) -> None:
        started = self.clock()
        sample = await self._sample(source, now)
        _log_errors(sample)
        report = Rollup(self.own_target or source.destination.target)
        for metric, value in (
            ("SampleDuration", self.clock() - started),
            ("SamplePoints", sample.points),
            ("SampleErrors", sample.error_count),
        ):
            report.add(now, Series.of(NAMESPACE, metric, (("Source", source.name),)), value)
        self.report(report)
        if sample.points:
            await self._publish(sample, started)

    async def _publish(self, sample: Sample, started: float) -> None:
        """Publish a sample, until the tick must end; then it goes on in the background."""
        published: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def publish() -> None:
            try:
                await self.publish(sample.rollup)
            except Exception as exc:  # noqa: BLE001 (the tick raises it)
                published.set_exception(exc)
            else:
                published.set_result(None)

        self._publishing[sample.source.name] = published
        run_in_background(publish())
        left = max(0.0, started + MAX_TICK_SECONDS - self.clock())
        done, _ = await asyncio.wait((published,), timeout=left)
        if done:
            published.result()
        else:
            published.add_done_callback(_log_late_error)

    async def _sample(self, source: Source, now: datetime) -> Sample:
        sample = Sample(source, now)
        published = self._publishing.get(source.name)
        if published is not None and not published.done():
            sample.add_error("the publication of an earlier tick is still running")
            return sample
        earlier = self._running.get(source.name)
        if earlier is not None and not earlier.done():
            sample.add_error("the sample of an earlier tick is still running")
            return sample
        running = self.executor.submit(sample.take, Deadline(self.deadline))
        self._running[source.name] = running
        result = asyncio.wrap_future(running)
        cut_off = self.deadline + self.cut_off_after
        await asyncio.wait((result,), timeout=cut_off)
        if not result.done():
            # Its thread continues until its own time-outs.
            sample.add_error(f"cut off after {cut_off:g} s")
            sample.close()
            # Retrieves an error that comes too late, which the loop would log otherwise.
            result.add_done_callback(lambda late: late.cancelled() or late.exception())
        elif (error := result.exception()) is not None:
            LOG.error("Unexpected error while sampling %s", source.name, exc_info=error)
            sample.add_error("unexpected error")
        return sample


def _log_late_error(published: asyncio.Future[None]) -> None:
    if not published.cancelled() and (error := published.exception()) is not None:
        LOG.error("Unexpected error while publishing a sample", exc_info=error)


def _log_errors(sample: Sample) -> None:
    errors = list(sample.errors)
    if (more := sample.error_count - len(errors)) > 0:
        errors.append(f"{plural(more, 'more error')} of the same kind")
    for error in errors:
        LOG.error("Sampling %s failed: %s", sample.source.name, error)
