"""One tick of the timer: sample what is due, all at once, and publish what comes in time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor, Future
from datetime import UTC, datetime, timedelta

from shared.clients.deadline import Deadline
from shared.errors import SourceError
from shared.model import Lane, Point, Series
from shared.sources import Problem, Source
from shared.telemetry import NAMESPACE

__all__ = ["CUT_OFF_AFTER", "DEADLINE", "MAX_POINTS", "Sample", "Sampler", "fill"]

LOG = logging.getLogger(__name__)

# Seconds that a source has to ask in, and after which it is cut off: of a minute, enough is left
# to publish.
DEADLINE = 35.0
CUT_OFF_AFTER = 5.0
# Points of one source and tick: more active series a subscription and region does not take.
# Source: "Custom metrics in Azure Monitor", quotas and limits.
MAX_POINTS = 50_000
# Problems of one source and tick that are logged; an account that refuses does so per queue.
_MOST_PROBLEMS = 10
# Characters of a problem: it may quote what the other side sent.
_MOST_TEXT = 1_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Publish = Callable[[Sequence[Point]], Awaitable[None]]


class Sample:
    """What a source gave at one tick, and what of it could not be had."""

    def __init__(self) -> None:
        self.points: list[Point] = []
        self.problems: list[str] = []  # The first of them.
        self.errors = 0  # All of them.
        self.closed = False

    def report(self, problem: str) -> None:
        """Take note of a problem."""
        self.errors += 1
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(problem[:_MOST_TEXT])

    def close(self) -> Sample:
        """What is there now; what still comes is dropped."""
        self.closed = True
        closed = Sample()
        closed.points, closed.problems = list(self.points), list(self.problems)
        closed.errors = self.errors
        return closed


def fill(sample: Sample, source: Source, now: datetime, until: Deadline) -> None:
    """Put into a sample what a source gives, until it is closed or has enough."""
    try:
        for found in source.sample(now, until):
            if sample.closed:
                return
            if isinstance(found, Problem):
                sample.report(found.text)
            elif len(sample.points) < MAX_POINTS:
                sample.points.append(found)
            else:
                sample.report(f"more than {MAX_POINTS} points; the rest is left out")
                return
    except SourceError as exc:
        sample.report(str(exc))


class Sampler:
    """Samples sources in the executor's threads; one that fails or hangs stops no other.

    The executor should have a thread for each source.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        publish: Publish,
        executor: Executor,
        *,
        report: Callable[[Sequence[Point]], None],
        own: Lane | None = None,
        deadline: float = DEADLINE,
        cut_off_after: float = CUT_OFF_AFTER,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`report` gets the figures on sampling, on the resource `own`, or else the source's."""
        self._sources = sources
        self._publish = publish
        self._report = report
        self._own = own
        self._executor = executor
        self._deadline = deadline
        self._cut_off_after = cut_off_after
        self._clock = clock
        self._slots: dict[str, int] = {}
        self._running: dict[str, Future[None]] = {}

    async def sample(self, now: datetime) -> None:
        """Sample what is due; all points carry the time `now` (UTC), rounded to a second.

        Each source is published as soon as it has answered, whatever the others do. Raises what
        publishing raised, once all have ended.
        """
        # A tick that comes a moment early belongs to the minute, or span, that it was to open.
        now = (now + timedelta(milliseconds=500)).replace(microsecond=0)
        due = [source for source in self._sources if self._is_due(source, now)]
        takes = (self._take(source, now) for source in due)
        for end in await asyncio.gather(*takes, return_exceptions=True):
            if end is not None:
                raise end

    def _is_due(self, source: Source, now: datetime) -> bool:
        """Once in each of the spans that `every` divides time into, be the ticks early or late."""
        slot = (now - _EPOCH) // source.target.every
        if self._slots.get(source.name) == slot:
            return False
        self._slots[source.name] = slot
        return True

    async def _take(self, source: Source, now: datetime) -> None:
        started = self._clock()
        sample = await self._sample(source, now)
        _log(source, sample)
        figures = {
            "SampleDuration": self._clock() - started,
            "SamplePoints": len(sample.points),
            "SampleErrors": sample.errors,
        }
        self._report([self._figure(source, now, *figure) for figure in figures.items()])
        await self._publish(sample.points)

    def _figure(self, source: Source, now: datetime, metric: str, value: float) -> Point:
        lane = self._own or source.target.lane
        series = Series.of(NAMESPACE, metric, (("Source", source.name),))
        return Point.of_one(lane, series, now, value)

    async def _sample(self, source: Source, now: datetime) -> Sample:
        sample = Sample()
        earlier = self._running.get(source.name)
        if earlier is not None and not earlier.done():
            sample.report("still busy with an earlier tick")
            return sample
        running = self._executor.submit(fill, sample, source, now, Deadline(self._deadline))
        self._running[source.name] = running
        answer = asyncio.wrap_future(running)
        await asyncio.wait((answer,), timeout=self._deadline + self._cut_off_after)
        if not answer.done():
            # Its thread goes on until its own time-outs; what it gives then is too late.
            sample = sample.close()
            sample.report(f"cut off after {self._deadline + self._cut_off_after:g} s")
            answer.add_done_callback(_forget)
        elif (broke := answer.exception()) is not None:
            LOG.error("A source broke: %s", source.name, exc_info=broke)
            sample.report(repr(broke))
        return sample


def _forget(late: asyncio.Future[None]) -> None:
    """A failure that comes too late is dropped, without a word of the loop's."""
    if not late.cancelled():
        late.exception()


def _log(source: Source, sample: Sample) -> None:
    for problem in sample.problems:
        LOG.error("Not sampled: %s: %s", source.name, problem)
    if (more := sample.errors - len(sample.problems)) > 0:
        LOG.error("Not sampled: %s: and %d more like these", source.name, more)
