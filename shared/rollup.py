"""Points -> documents of one-minute series, added up as the store itself would.

The store keeps min, max, sum and count of each series and minute and aggregates whatever it is
sent for them, so sending the aggregate says the same in fewer bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime

import msgspec

from shared.model import MAX_COUNT, Point

__all__ = ["Document", "Series", "rollup"]


class Series(msgspec.Struct):
    """The values of one series in one minute, and the points they came from."""

    dimension_values: tuple[str, ...]
    min: float
    max: float
    sum: float
    count: int
    points: list[Point]


class Document(msgspec.Struct):
    """Series that share metric, minute and dimension names: one document of the ingestion API."""

    namespace: str
    metric: str
    minute: datetime  # UTC, its beginning.
    dimension_names: tuple[str, ...]
    series: list[Series]


def rollup(points: Iterable[Point]) -> list[Document]:
    """Aggregate points of one lane; each point ends in exactly one series.

    Points that cannot be added without leaving an int32 count or a finite sum stay apart: the
    store is then the one that adds them.
    """
    documents: dict[tuple[object, ...], Document] = {}
    open_series: dict[tuple[object, ...], Series] = {}
    for point in points:
        minute = point.time.replace(second=0, microsecond=0)
        key = (point.namespace, point.metric, minute, point.dimensions)
        series = open_series.get(key)
        if series is None or not _add(series, point):
            names = tuple(name for name, _ in point.dimensions)
            document = documents.setdefault(
                (point.namespace, point.metric, minute, names),
                Document(point.namespace, point.metric, minute, names, []),
            )
            values = tuple(value for _, value in point.dimensions)
            series = Series(values, point.min, point.max, point.sum, point.count, [point])
            document.series.append(series)
            open_series[key] = series
    return list(documents.values())


def _add(series: Series, point: Point) -> bool:
    """Add the point's values to the series; False, with nothing changed, where they do not fit."""
    total, count = series.sum + point.sum, series.count + point.count
    if count > MAX_COUNT or not math.isfinite(total):
        return False
    series.min = min(series.min, point.min)
    series.max = max(series.max, point.max)
    series.sum, series.count = total, count
    series.points.append(point)
    return True
