"""The points of a lane -> POSTs -> a verdict on every point."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from typing import Protocol

from shared.model import Lane, Point, Reason, Status, Verdict
from shared.publisher import Answer
from shared.rollup import rollup
from shared.wire import Body, write_bodies

__all__ = ["Delivery", "Poster", "judge"]

LOG = logging.getLogger(__name__)


class Poster(Protocol):
    """What sends a body; blocking."""

    def post(self, lane: Lane, body: bytes) -> Answer:
        """Send a body once."""


class Delivery:
    """Rolls the points of a lane up, posts them in as few bodies as they fit, and judges.

    Called on the event loop; the POSTs run in the executor's threads. Logs on the loop, where a
    log line belongs to its invocation.
    """

    def __init__(self, poster: Poster, *, max_body_bytes: int, executor: Executor) -> None:
        self._poster = poster
        self._limit = max_body_bytes
        self._executor = executor

    async def __call__(self, lane: Lane, points: Sequence[Point]) -> list[Verdict]:
        """Post the points. Every point is in exactly one of the verdicts."""
        bodies = write_bodies(rollup(points), self._limit)
        return [await self._post(lane, body) for body in bodies]

    async def _post(self, lane: Lane, body: Body) -> Verdict:
        loop = asyncio.get_running_loop()
        answer = await loop.run_in_executor(self._executor, self._poster.post, lane, body.data)
        verdict = judge(answer, lane, body.points())
        level = logging.INFO if verdict.status is Status.PUBLISHED else logging.WARNING
        LOG.log(
            level,
            "POST %s %s: %d points in %d documents, %d bytes, %.0f ms: %s",
            lane.region,
            lane.resource_id,
            len(verdict.points),
            len(body.documents),
            len(body.data),
            answer.seconds * 1000,
            verdict.detail or answer,
        )
        return verdict


def judge(answer: Answer, lane: Lane, points: Iterable[Point]) -> Verdict:
    """What the answer to a POST means for the points in it."""
    members = tuple(points)
    match answer.status:
        case status if status is not None and 200 <= status < 300:
            return Verdict(Status.PUBLISHED, members)
        case 400 if answer.code != "RegionMismatch":
            return Verdict(Status.REJECTED, members, str(answer), Reason.REJECTED_BY_AZURE)
        case 403:
            hint = f"{answer}; grant Monitoring Metrics Publisher on {lane.resource_id}"
            return Verdict(Status.DEFERRED, members, hint)
        case _:
            return Verdict(Status.DEFERRED, members, str(answer))
