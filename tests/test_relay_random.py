"""Hunting for hangs: thousands of submissions, deliveries that dawdle, break and are cancelled."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from by_points import judged, submit

from shared.batch import Batch
from shared.model import Judged, Lane, Point, Series, Status, Verdict
from shared.publisher.batcher import Relay

SUBMISSIONS = 2000
# Seconds; it takes about one. Not a measurement: what hangs would hang for ever.
DEADLINE = 120
NOW = datetime(2026, 11, 23, 7, 30, tzinfo=UTC)


class Scripted:
    """Deliveries by chance; remembers what it was given."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.delivered = Counter[float]()
        self.lanes_at_work = Counter[tuple[str, str]]()

    async def __call__(self, batch: Batch) -> list[Judged]:
        lane = batch.lane
        self.lanes_at_work[lane.key] += 1
        assert self.lanes_at_work[lane.key] == 1, "two deliveries in one lane"
        try:
            for _ in range(self._chance.randrange(20)):
                await asyncio.sleep(0)
            points = list(batch)
            return judged(points, self._judged(points))
        finally:
            self.lanes_at_work[lane.key] -= 1

    def _judged(self, points: Sequence[Point]) -> list[Verdict]:
        match self._chance.randrange(10):
            case 0:
                raise RuntimeError("broken")
            case 1:
                raise asyncio.CancelledError
            case 2:
                return []  # It lost them all.
            case 3:  # It lost all but one.
                self.delivered.update(map(_mark, points[:1]))
                return [Verdict(Status.PUBLISHED, points[:1])]
            case 4 | 5:
                kinds = [self._chance.choice(list(Status)) for _ in points]
                self.delivered.update(
                    _mark(point)
                    for point, kind in zip(points, kinds, strict=True)
                    if kind is Status.PUBLISHED
                )
                return [
                    Verdict(kind, [p for p, k in zip(points, kinds, strict=True) if k is kind])
                    for kind in Status
                ]
            case _:
                self.delivered.update(map(_mark, points))
                return [Verdict(Status.PUBLISHED, points)]


@pytest.mark.parametrize("seed", range(6))
async def test_every_submission_resolves_exactly_once(seed: int) -> None:
    chance = random.Random(seed)
    deliver = Scripted(chance)
    relay = Relay(deliver, most_held=chance.choice([5, 50, 500]), most_at_once=40)
    resolved = Counter[str]()
    numbers = itertools.count()

    async def produce() -> None:
        points = [_point(chance, next(numbers)) for _ in range(chance.randrange(8))]
        for _ in range(chance.randrange(30)):
            await asyncio.sleep(0)
        verdicts = await submit(relay, points)
        # Each of its own points, and nobody else's, exactly once.
        settled = Counter(_mark(point) for verdict in verdicts for point in verdict.points)
        assert settled == Counter(map(_mark, points))
        published = [v for v in verdicts if v.status is Status.PUBLISHED]
        assert all(_mark(point) in deliver.delivered for v in published for point in v.points)
        resolved["answered"] += 1

    async def impatient() -> None:
        task = asyncio.create_task(produce())
        for _ in range(chance.randrange(40)):
            await asyncio.sleep(0)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            resolved["cancelled"] += 1

    async with asyncio.timeout(DEADLINE):
        kinds = [impatient if chance.random() < 0.2 else produce for _ in range(SUBMISSIONS)]
        await asyncio.gather(*(kind() for kind in kinds))
        # Nothing is left behind that the next submission would wait for.
        last = [_point(chance, next(numbers))]
        assert [v.points for v in await submit(relay, last)] == [last]

    assert resolved.total() == SUBMISSIONS
    assert resolved["answered"] > SUBMISSIONS / 2
    assert resolved["cancelled"] > SUBMISSIONS / 20


def _point(chance: random.Random, number: int) -> Point:
    """A point that its value tells from all others."""
    site = f"/subscriptions/1/resourceGroups/g/providers/P/sites/{chance.randrange(5)}"
    if chance.random() < 0.3:
        site = site.upper()
    return Point.of_one(Lane("westeurope", site), Series.of("N", "M", ()), NOW, number)


def _mark(point: Point) -> float:
    return point.sum
