"""One tick of the timer: sample every source at once, publish what they gave."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from datetime import datetime

from shared.model import Point
from shared.sources import Sample, Source

__all__ = ["Sampler"]

LOG = logging.getLogger(__name__)


class Sampler:
    """Samples sources in the executor's threads; one that fails does not stop the others."""

    def __init__(
        self,
        sources: Sequence[Source],
        publish: Callable[[Sequence[Point]], Awaitable[None]],
        executor: Executor,
    ) -> None:
        self._sources = sources
        self._publish = publish
        self._executor = executor

    async def sample(self, now: datetime) -> None:
        """Take and publish one sample of each source; all points carry the time `now` (UTC)."""
        samples = await asyncio.gather(*(self._take(source, now) for source in self._sources))
        for problem in (problem for sample in samples for problem in sample.problems):
            LOG.error("Not sampled: %s", problem)
        await self._publish([point for sample in samples for point in sample.points])

    async def _take(self, source: Source, now: datetime) -> Sample:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._executor, source.sample, now)
        except Exception as exc:
            LOG.exception("A source broke: %s", source.name)
            return Sample([], [f"{source.name}: {exc!r}"])
