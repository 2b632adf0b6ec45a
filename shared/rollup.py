"""Points -> documents of one-minute series, added up as the store itself would.

The store keeps min, max, sum and count of each series and minute and aggregates whatever it is
sent for them, so sending the aggregate says the same in fewer bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime

import msgspec

from shared.model import MAX_COUNT, Point, Series

__all__ = ["Aggregate", "Document", "rollup"]


class Aggregate(msgspec.Struct, gc=False):
    """The values of one series in one minute, and the points they came from."""

    dimension_values: tuple[str, ...]
    min: float
    max: float
    sum: float
    count: int
    points: list[Point]


class Document(msgspec.Struct, gc=False):
    """Series that share metric, minute and dimension names: one document of the ingestion API."""

    namespace: str
    metric: str
    minute: datetime  # UTC, its beginning.
    dimension_names: tuple[str, ...]
    series: list[Aggregate]


def rollup(points: Iterable[Point]) -> list[Document]:
    """Aggregate points of one lane; each point ends in exactly one aggregate.

    Points that cannot be added without leaving an int32 count or a finite sum stay apart: the
    store is then the one that adds them.
    """
    documents: dict[tuple[object, ...], Document] = {}
    minutes: dict[datetime, dict[Series, Aggregate]] = {}
    before = None
    for point in points:
        # Every line here costs at each point, and neighbours mostly share their time.
        if point.time is not before:
            before = point.time
            minute = before.replace(second=0, microsecond=0)
            aggregates = minutes.setdefault(minute, {})
        aggregate = aggregates.get(point.series)
        if aggregate is not None:
            total, count = aggregate.sum + point.sum, aggregate.count + point.count
            if count <= MAX_COUNT and -math.inf < total < math.inf:
                aggregate.sum, aggregate.count = total, count
                if point.min < aggregate.min:  # noqa: PLR1730 (a call costs more than all of this)
                    aggregate.min = point.min
                if point.max > aggregate.max:  # noqa: PLR1730
                    aggregate.max = point.max
                aggregate.points.append(point)
                continue
        aggregates[point.series] = _begin(documents, minute, point)
    return list(documents.values())


def _begin(
    documents: dict[tuple[object, ...], Document], minute: datetime, point: Point
) -> Aggregate:
    """A new aggregate of a point, in the document it belongs to."""
    series = point.series
    names, values = zip(*series.dimensions, strict=True) if series.dimensions else ((), ())
    key = (series.namespace, series.metric, minute, names)
    document = documents.get(key)
    if document is None:
        document = documents[key] = Document(series.namespace, series.metric, minute, names, [])
    aggregate = Aggregate(values, point.min, point.max, point.sum, point.count, [point])
    document.series.append(aggregate)
    return aggregate
