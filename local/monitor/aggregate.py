"""What came in for a series and minute, and what several of those make together."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .documents import Values

__all__ = ["AGGREGATIONS", "Aggregate"]

AGGREGATIONS = ("average", "minimum", "maximum", "total", "count")
_GREATEST = sys.float_info.max


class Aggregate(msgspec.Struct, gc=False):
    """The four numbers that are kept, which all aggregations follow from."""

    min: float
    max: float
    sum: float
    count: int

    @staticmethod
    def of(given: Aggregate | Values) -> Aggregate:
        """A new one with the same numbers."""
        return Aggregate(given.min, given.max, given.sum, given.count)

    @staticmethod
    def total(aggregates: Iterable[Aggregate]) -> Aggregate:
        """All of them in one; there is at least one."""
        first, *others = aggregates
        total = Aggregate.of(first)
        for each in others:
            total.add(each)
        return total

    def add(self, other: Aggregate | Values) -> None:
        """Take in more. A sum that no double holds stays at the greatest one: JSON has no more."""
        self.min = min(self.min, other.min)
        self.max = max(self.max, other.max)
        self.sum += other.sum
        self.count += other.count
        if math.isinf(self.sum):
            self.sum = math.copysign(_GREATEST, self.sum)

    def value(self, aggregation: str) -> float:
        """One of AGGREGATIONS."""
        match aggregation:
            case "average":
                return self.sum / self.count
            case "minimum":
                return self.min
            case "maximum":
                return self.max
            case "total":
                return self.sum
        return self.count
