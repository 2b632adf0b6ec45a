"""Points of one lane, column by column: as the relay carries them.

Nearly all points are read, held and added up without anybody looking at one of them, so there is
no object for each: a `Point` is made only where somebody asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import overload

from shared.model import Lane, Point, Series, Value

__all__ = ["Batch", "batches"]


class Batch(Sequence[Point]):
    """Points of one lane; entry n of each column is of the nth. Not changed once handed on.

    What becomes of a point is told by its position, not by an object that goes with it: there is
    none before somebody asks, and of nearly all points nobody does.
    """

    __slots__ = ("lane", "series", "times", "values")

    def __init__(
        self, lane: Lane, series: list[Series], times: list[datetime], values: list[Value]
    ) -> None:
        """Columns of the same length; times in UTC."""
        self.lane = lane
        self.series = series
        self.times = times
        self.values = values

    def __len__(self) -> int:
        return len(self.series)

    def __iter__(self) -> Iterator[Point]:
        return map(self._point, range(len(self)))

    @overload
    def __getitem__(self, position: int) -> Point: ...
    @overload
    def __getitem__(self, position: slice) -> Batch: ...
    def __getitem__(self, position: int | slice) -> Point | Batch:
        if isinstance(position, slice):
            return self.pick(range(*position.indices(len(self))))
        return self._point(position)

    def __repr__(self) -> str:
        return f"Batch({list(self)})"

    def _point(self, position: int) -> Point:
        series, time, value = self.series[position], self.times[position], self.values[position]
        if isinstance(value, tuple):
            return Point(self.lane, series, time, *value)
        return Point.of_one(self.lane, series, time, value)

    def pick(self, positions: Sequence[int]) -> Batch:
        """The points at these positions, in this order."""
        return Batch(
            self.lane,
            [self.series[position] for position in positions],
            [self.times[position] for position in positions],
            [self.values[position] for position in positions],
        )

    def moved(self, lane: Lane) -> Batch:
        """The same points in another lane."""
        return Batch(lane, self.series, self.times, self.values)

    @classmethod
    def joined(cls, parts: Sequence[Batch]) -> Batch:
        """The points of one or more parts, one after the other, in the lane of the first."""
        if len(parts) == 1:
            return parts[0]
        whole = cls(parts[0].lane, [], [], [])
        for part in parts:
            whole.series += part.series
            whole.times += part.times
            whole.values += part.values
        return whole


def batches(points: Iterable[Point]) -> list[Batch]:
    """The points of each lane, in the order they come in.

    One resource whose ID is spelled in two ways has two batches, so that what is put back or
    dead-lettered is what was sent; the relay sends both in one lane.
    """
    found: dict[Lane, Batch] = {}
    for point in points:
        batch = found.get(point.lane)
        if batch is None:
            batch = found[point.lane] = Batch(point.lane, [], [], [])
        batch.series.append(point.series)
        batch.times.append(point.time)
        batch.values.append(point.value)
    return list(found.values())
