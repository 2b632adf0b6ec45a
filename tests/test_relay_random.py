"""Hunting for hangs: thousands of submissions, deliveries that dawdle, break and are cancelled."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from shared.model import Lane, Point, Series, Status, Verdict
from shared.relay import Relay

SUBMISSIONS = 2000
# Seconds; it takes about one. Not a measurement: what hangs would hang for ever.
DEADLINE = 120
NOW = datetime(2026, 11, 23, 7, 30, tzinfo=UTC)


class Scripted:
    """Deliveries by chance; remembers what it was given."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.delivered = Counter[int]()
        self.lanes_at_work = Counter[tuple[str, str]]()

    async def __call__(self, lane: Lane, points: Sequence[Point]) -> list[Verdict]:
        self.lanes_at_work[lane.key] += 1
        assert self.lanes_at_work[lane.key] == 1, "two deliveries in one lane"
        try:
            for _ in range(self._chance.randrange(20)):
                await asyncio.sleep(0)
            return self._judged(points)
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
                self.delivered.update(map(id, points[:1]))
                return [Verdict(Status.PUBLISHED, points[:1])]
            case 4 | 5:
                kinds = [self._chance.choice(list(Status)) for _ in points]
                self.delivered.update(
                    id(point)
                    for point, kind in zip(points, kinds, strict=True)
                    if kind is Status.PUBLISHED
                )
                return [
                    Verdict(kind, [p for p, k in zip(points, kinds, strict=True) if k is kind])
                    for kind in Status
                ]
            case _:
                self.delivered.update(map(id, points))
                return [Verdict(Status.PUBLISHED, points)]


@pytest.mark.parametrize("seed", range(6))
async def test_every_submission_resolves_exactly_once(seed: int) -> None:
    chance = random.Random(seed)
    deliver = Scripted(chance)
    relay = Relay(deliver, most_held=chance.choice([5, 50, 500]), most_at_once=40)
    resolved = Counter[str]()

    async def submit() -> None:
        points = [_point(chance) for _ in range(chance.randrange(8))]
        for _ in range(chance.randrange(30)):
            await asyncio.sleep(0)
        verdicts = await relay.submit(points)
        # Each of its own points, and nobody else's, exactly once.
        judged = Counter(id(point) for verdict in verdicts for point in verdict.points)
        assert judged == Counter(map(id, points))
        published = [v for v in verdicts if v.status is Status.PUBLISHED]
        assert all(id(point) in deliver.delivered for v in published for point in v.points)
        resolved["answered"] += 1

    async def impatient() -> None:
        task = asyncio.create_task(submit())
        for _ in range(chance.randrange(40)):
            await asyncio.sleep(0)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            resolved["cancelled"] += 1

    async with asyncio.timeout(DEADLINE):
        kinds = [impatient if chance.random() < 0.2 else submit for _ in range(SUBMISSIONS)]
        await asyncio.gather(*(kind() for kind in kinds))
        # Nothing is left behind that the next submission would wait for.
        last = [_point(chance)]
        assert [v.points for v in await relay.submit(last)] == [last]

    assert resolved.total() == SUBMISSIONS
    assert resolved["answered"] > SUBMISSIONS / 2
    assert resolved["cancelled"] > SUBMISSIONS / 20


def _point(chance: random.Random) -> Point:
    site = f"/subscriptions/1/resourceGroups/g/providers/P/sites/{chance.randrange(5)}"
    if chance.random() < 0.3:
        site = site.upper()
    return Point.of_one(Lane("westeurope", site), Series("N", "M", ()), NOW, 1)
