"""One tick of the timer: sample what is due, all at once, and publish what comes in time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor, Future
from datetime import datetime, timedelta

import msgspec

from shared.errors import SourceError
from shared.model import Point
from shared.sources import Sample, Source

__all__ = ["Sampler"]

LOG = logging.getLogger(__name__)

# Seconds after which a source is cut off: of a minute, enough is left to publish the others.
DEADLINE = 40.0
# A tick may come a little early; a source of every minute is due all the same.
_SLACK = timedelta(seconds=1)
# Problems of one source and tick that are logged; an account that refuses does so per queue.
_MOST_PROBLEMS = 10
# Where the figures on sampling itself are found, beside what the source gives.
_NAMESPACE = "MetricRelay"


class Sampler:
    """Samples sources in the executor's threads; one that fails or hangs stops no other."""

    def __init__(
        self,
        sources: Sequence[Source],
        publish: Callable[[Sequence[Point]], Awaitable[None]],
        executor: Executor,
        *,
        deadline: float = DEADLINE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sources = sources
        self._publish = publish
        self._executor = executor
        self._deadline = deadline
        self._clock = clock
        self._last: dict[str, datetime] = {}
        self._late: dict[str, Future[Sample]] = {}

    async def sample(self, now: datetime) -> None:
        """Sample what is due; all points carry the time `now` (UTC).

        Each source is published as soon as it has answered, whatever the others do. Raises what
        publishing raised, once all have ended.
        """
        due = [source for source in self._sources if self._is_due(source, now)]
        ends = await asyncio.gather(
            *(self._sample(source, now) for source in due), return_exceptions=True
        )
        for end in ends:
            if isinstance(end, BaseException):
                raise end

    async def _sample(self, source: Source, now: datetime) -> None:
        sample = await self._take(source, now)
        _log(source, sample.problems)
        await self._publish(sample.points)

    def _is_due(self, source: Source, now: datetime) -> bool:
        last = self._last.get(source.name)
        if last is not None and now - last < source.target.every - _SLACK:
            return False
        self._last[source.name] = now
        return True

    async def _take(self, source: Source, now: datetime) -> Sample:
        """One sample, with the figures on itself."""
        started = self._clock()
        sample = await self._within_deadline(source, now)
        seconds = self._clock() - started
        target = msgspec.structs.replace(source.target, namespace=_NAMESPACE, dimensions={})
        figures = {
            "SampleDuration": seconds,
            "SamplePoints": float(len(sample.points)),
            "SampleErrors": float(len(sample.problems)),
        }
        own = {"Source": source.name}
        about = [target.point(metric, value, now, own) for metric, value in figures.items()]
        return Sample([*sample.points, *about], sample.problems)

    async def _within_deadline(self, source: Source, now: datetime) -> Sample:
        late = self._late.get(source.name)
        if late is not None and not late.done():
            return _nothing(f"{source.name}: still busy with an earlier tick")
        running = self._executor.submit(source.sample, now)
        answer = asyncio.wrap_future(running)
        await asyncio.wait((answer,), timeout=self._deadline)
        if not answer.done():
            # Its thread goes on until its own time-outs; what it gives then is too late.
            self._late[source.name] = running
            answer.cancel()
            return _nothing(f"{source.name}: cut off after {self._deadline:g} s")
        try:
            return answer.result()
        except SourceError as exc:
            return _nothing(f"{source.name}: {exc}")
        except Exception as exc:
            LOG.exception("A source broke: %s", source.name)
            return _nothing(f"{source.name}: {exc!r}")


def _log(source: Source, problems: Sequence[str]) -> None:
    for problem in problems[:_MOST_PROBLEMS]:
        LOG.error("Not sampled: %s", problem)
    if (more := len(problems) - _MOST_PROBLEMS) > 0:
        LOG.error("Not sampled: %s: and %d more like these", source.name, more)


def _nothing(problem: str) -> Sample:
    return Sample([], [problem])
