"""Points -> documents of one-minute series, added up as the store itself would.

The store keeps min, max, sum and count of each series and minute and aggregates whatever it is
sent for them, so sending the aggregate says the same in fewer bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import cast

import msgspec

from shared.batch import Batch
from shared.model import MAX_COUNT, Family, Series, Value, ValueSet

__all__ = ["Aggregate", "Document", "rollup"]

# Positions of points in their batch, for each minute and series.
_Groups = dict[datetime, dict[Series, list[int]]]
# A value set, and the positions of the points in it.
_Added = tuple[ValueSet, list[int]]


class Aggregate(msgspec.Struct, rename="camel", gc=False):
    """The values of one series in one minute, as the ingestion API takes them."""

    dim_values: tuple[str, ...]
    min: float
    max: float
    sum: float
    count: int


class Document(msgspec.Struct, gc=False):
    """Series of one family and minute: one document of the ingestion API."""

    family: Family
    minute: datetime  # UTC, its beginning.
    series: list[Aggregate]
    positions: list[list[int]]  # Of the points behind each of the series.

    def part(self, start: int, end: int) -> Document:
        """A document of its own with some of the series."""
        series, positions = self.series[start:end], self.positions[start:end]
        return Document(self.family, self.minute, series, positions)


def rollup(batch: Batch, positions: Sequence[int] | None = None) -> list[Document]:
    """Aggregate the points at these positions, or all; each ends in exactly one aggregate.

    Points that cannot be added without leaving an int32 count or a finite sum stay apart: the
    store is then the one that adds them.
    """
    documents: list[Document] = []
    for minute, groups in _grouped(batch, positions).items():
        families: dict[Family, Document] = {}
        for series, members in groups.items():
            document = families.get(series.family)
            if document is None:
                document = families[series.family] = Document(series.family, minute, [], [])
            for values, behind in _added(batch.values, members):
                document.series.append(Aggregate(series.dimension_values, *values))
                document.positions.append(behind)
        documents += families.values()
    return documents


def _grouped(batch: Batch, positions: Sequence[int] | None) -> _Groups:
    found: _Groups = {}
    if positions is None:
        positions = range(len(batch))
        rows: Iterable[tuple[Series, datetime]] = zip(batch.series, batch.times, strict=True)
    else:
        rows = ((batch.series[position], batch.times[position]) for position in positions)
    before = None
    for position, (series, time) in zip(positions, rows, strict=True):
        # Every line here costs at each point, and neighbours mostly share their time.
        if time is not before:
            before = time
            groups = found.setdefault(time.replace(second=0, microsecond=0), {})
        group = groups.get(series)
        if group is None:
            groups[series] = [position]
        else:
            group.append(position)
    return found


def _added(values: list[Value], positions: list[int]) -> Iterable[_Added]:
    """The values at these positions, of one series and minute, as few value sets: mostly one."""
    if len(positions) == 1:
        return ((_value_set(values[positions[0]]), positions),)
    own = cast("list[float]", [values[position] for position in positions])
    try:
        total = math.fsum(own)
    except (TypeError, OverflowError):  # There are value sets among them, or it is not finite.
        return _one_by_one(values, positions)
    return (((min(own), max(own), total, len(own)), positions),)


def _one_by_one(values: list[Value], positions: list[int]) -> Iterator[_Added]:
    added: ValueSet | None = None
    behind: list[int] = []
    for position in positions:
        own = _value_set(values[position])
        if added is not None:
            total, count = added[2] + own[2], added[3] + own[3]
            if math.isfinite(total) and count <= MAX_COUNT:
                added = min(added[0], own[0]), max(added[1], own[1]), total, count
                behind.append(position)
                continue
            yield added, behind
        added, behind = own, [position]
    if added is not None:
        yield added, behind


def _value_set(value: Value) -> ValueSet:
    return value if isinstance(value, tuple) else (value, value, value, 1)
