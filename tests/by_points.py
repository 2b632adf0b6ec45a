"""The relay's parts as tests see them: points in, points out, whatever they are carried in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from builders import LANE

from shared.batch import Batch, batches
from shared.model import Judged, Lane, Point, Verdict
from shared.pipeline.series_limiter import Guard
from shared.publisher.rollup import Document, rollup
from shared.publisher.sender import Delivery

__all__ = ["ByPoints", "admit", "batch_of", "judged", "points_of", "roll_up", "submit"]


class Submitter(Protocol):
    async def submit(self, batches: Sequence[Batch]) -> list[Verdict]: ...


def batch_of(points: Iterable[Point], lane: Lane | None = None) -> Batch:
    """Points of one lane, of that of the first where it is not said; without any, none."""
    (batch,) = batches(points) or [Batch(lane or LANE, [], [], [])]
    assert lane in (None, batch.lane)
    return batch


def points_of(given: Iterable[Batch]) -> list[Point]:
    return [point for batch in given for point in batch]


def roll_up(points: Iterable[Point]) -> list[Document]:
    return rollup(batch_of(points))


async def submit(to: Submitter, points: Iterable[Point]) -> list[Verdict]:
    """Submit points of any lanes."""
    return [_listed(verdict) for verdict in await to.submit(batches(points))]


def admit(guard: Guard, lane: Lane, points: Iterable[Point]) -> tuple[list[Point], list[Point]]:
    passed, refused = guard.admit(batch_of(points, lane))
    return list(passed), list(refused)


def judged(points: Sequence[Point], verdicts: Iterable[Verdict]) -> list[Judged]:
    """What a delivery says that gives these verdicts on some of these very points."""
    where = {id(point): position for position, point in enumerate(points)}
    return [
        Judged(one.status, [where[id(point)] for point in one.points], one.detail, one.reason)
        for one in verdicts
    ]


class ByPoints:
    """A delivery, called with points."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery

    async def __call__(self, lane: Lane, points: Sequence[Point]) -> list[Verdict]:
        said = await self._delivery(batch_of(points, lane))
        return [one.on([points[position] for position in one.positions]) for one in said]


def _listed(verdict: Verdict) -> Verdict:
    return Verdict(verdict.status, list(verdict.points), verdict.detail, verdict.reason)
