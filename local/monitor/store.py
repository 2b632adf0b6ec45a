"""The store: one value per series and minute, aggregated as they come in.

Bounded: values older than 24 hours are forgotten, and beyond a million the oldest go first.
Resource IDs, namespaces, metric and dimension names compare without case and keep their first
spelling; dimension values compare with case.
"""

from __future__ import annotations

import datetime as dt
from collections import OrderedDict
from typing import TYPE_CHECKING

import msgspec

from .limits import KEPT_MINUTES, MAX_SPELLINGS, MAX_VALUES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .documents import Point, Shape

__all__ = ["MetricStore", "MetricValue"]

_Key = tuple[str, tuple[str, str, tuple[str, ...]], tuple[str, ...]]


class MetricValue(msgspec.Struct, rename="camel", frozen=True):
    """One series in one minute, as it is read back; time is the start of the minute, UTC."""

    resource_id: str
    region: str
    namespace: str
    metric: str
    dimensions: dict[str, str]
    time: str
    min: float
    max: float
    sum: float
    count: int


class _Series(msgspec.Struct, eq=False):
    """A series, as first spelled, and the number of minutes kept of it."""

    key: _Key
    resource_id: str
    region: str
    namespace: str
    metric: str
    dimensions: dict[str, str]
    kept: int = 0


class _Aggregate(msgspec.Struct, gc=False):
    min: float
    max: float
    sum: float
    count: int


class MetricStore:
    """Keeps values in memory, by minute and series."""

    def __init__(self, kept_minutes: int = KEPT_MINUTES, max_values: int = MAX_VALUES) -> None:
        self._kept_minutes = kept_minutes
        self._max_values = max_values
        self._series: dict[_Key, _Series] = {}
        self._minutes: dict[int, dict[_Series, _Aggregate]] = {}
        self._spellings: OrderedDict[tuple[str, ...], str] = OrderedDict()
        self._size = 0

    def add(self, resource_id: str, region: str, points: Iterable[Point], now: float) -> None:
        """Add points of one resource; now in epoch seconds."""
        resource_key = resource_id.lower()
        minutes_before = len(self._minutes)
        for point in points:
            key = (resource_key, point.shape.key, point.dimension_values)
            series = self._series.get(key)
            if series is None:
                series = self._series[key] = self._new_series(key, resource_id, region, point.shape)
            minute = self._minutes.get(point.minute)
            if minute is None:
                minute = self._minutes[point.minute] = {}
            values = point.values
            aggregate = minute.get(series)
            if aggregate is None:
                minute[series] = _Aggregate(values.min, values.max, values.sum, values.count)
                series.kept += 1
                self._size += 1
                continue
            aggregate.min = min(aggregate.min, values.min)
            aggregate.max = max(aggregate.max, values.max)
            aggregate.sum += values.sum
            aggregate.count += values.count
        if len(self._minutes) > minutes_before or self._size > self._max_values:
            self._forget(int(now // 60) - self._kept_minutes)

    def values(
        self,
        resource_id: str | None = None,
        namespace: str | None = None,
        metric: str | None = None,
    ) -> list[MetricValue]:
        """What is kept, filtered without case; sorted by series, then by time."""
        wanted = [
            None if each is None else each.lower() for each in (resource_id, namespace, metric)
        ]
        found = [
            (series.key, minute, series, aggregate)
            for minute, kept in self._minutes.items()
            for series, aggregate in kept.items()
            if all(
                want is None or want == have
                for want, have in zip(wanted, (series.key[0], *series.key[1][:2]), strict=True)
            )
        ]
        found.sort(key=lambda each: each[:2])
        return [_value(series, minute, aggregate) for _, minute, series, aggregate in found]

    def _new_series(self, key: _Key, resource_id: str, region: str, shape: Shape) -> _Series:
        resource_key, (namespace_key, metric_key, dimension_keys), dimension_values = key
        path: tuple[str, ...] = (resource_key,)
        spelled_id = self._first_spelling(path, resource_id)
        path = (*path, namespace_key)
        namespace = self._first_spelling(path, shape.namespace)
        path = (*path, metric_key)
        metric = self._first_spelling(path, shape.metric)
        names = [
            self._first_spelling((*path, name_key), name)
            for name_key, name in zip(dimension_keys, shape.dimensions, strict=True)
        ]
        dimensions = dict(zip(names, dimension_values, strict=True))
        return _Series(key, spelled_id, region, namespace, metric, dimensions)

    def _first_spelling(self, path: tuple[str, ...], spelling: str) -> str:
        first = self._spellings.setdefault(path, spelling)
        if len(self._spellings) > MAX_SPELLINGS:
            self._spellings.popitem(last=False)
        return first

    def _forget(self, oldest_minute: int) -> None:
        """Forget what is older than the oldest minute, then what is too much."""
        for minute in [each for each in self._minutes if each < oldest_minute]:
            for series in self._minutes.pop(minute):
                self._release(series)
        while self._size > self._max_values:
            oldest = min(self._minutes)
            kept = self._minutes[oldest]
            series = next(iter(kept))
            del kept[series]
            self._release(series)
            if not kept:
                del self._minutes[oldest]

    def _release(self, series: _Series) -> None:
        self._size -= 1
        series.kept -= 1
        if not series.kept:
            del self._series[series.key]


def _value(series: _Series, minute: int, aggregate: _Aggregate) -> MetricValue:
    return MetricValue(
        resource_id=series.resource_id,
        region=series.region,
        namespace=series.namespace,
        metric=series.metric,
        dimensions=series.dimensions,
        time=f"{dt.datetime.fromtimestamp(minute * 60, dt.UTC):%Y-%m-%dT%H:%M:%SZ}",
        min=aggregate.min,
        max=aggregate.max,
        sum=aggregate.sum,
        count=aggregate.count,
    )
