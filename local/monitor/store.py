"""The store: a value set for each series and minute, in SQLite, in memory or in a file.

A post is stored whole or not at all; in a file, before it is answered.

Bounded: values older than 24 hours are deleted, and of more than a million the oldest. Resource
IDs, namespaces, metric and dimension names compare without case and keep their first spelling;
dimension values compare with case.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec
from cachetools import LRUCache

from .database import StoreError, open_database, translated
from .documents import Point, Shape
from .limits import KEPT_MINUTES, MAX_SPELLINGS, MAX_VALUES

__all__ = ["AGGREGATIONS", "Aggregate", "MetricStore", "Series"]

AGGREGATIONS = ("average", "minimum", "maximum", "total", "count")

_ADD = """
INSERT INTO point VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET min = min(min, excluded.min), max = max(max, excluded.max),
                          sum = sum + excluded.sum, count = count + excluded.count
"""
# CROSS JOIN: the series that are wanted lead to their points, not the other way round.
_READ = """
SELECT json_extract(wanted.value, '$[1]'), (minute - :first) / :step,
       min(min), max(max), sum(sum), sum(count)
FROM json_each(:wanted) AS wanted
CROSS JOIN point ON series = json_extract(wanted.value, '$[0]')
WHERE minute >= :first AND minute < :end GROUP BY 1, 2
"""
_DELETE_OLDEST = """
DELETE FROM point WHERE (series, minute) IN
    (SELECT series, minute FROM point ORDER BY minute, series LIMIT ?)
"""

_Key = tuple[str, tuple[str, str, tuple[str, ...]], tuple[str, ...]]
_Group = TypeVar("_Group", bound=Hashable)


class Aggregate(msgspec.Struct, gc=False):
    """A value set, which all aggregations follow from."""

    min: float
    max: float
    sum: float
    count: int

    def value(self, aggregation: str) -> float:
        """Return one of AGGREGATIONS."""
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


class Series(msgspec.Struct, eq=False):
    """A series, as first spelled.

    The key has all names as they are compared: resource ID; namespace, metric and dimension
    names, sorted; and then the dimension values in that order.
    """

    number: int
    key: _Key
    resource_id: str
    region: str
    namespace: str
    metric: str
    dimensions: dict[str, str]
    added: float = 0.0  # When it was last added to, in epoch seconds.


class MetricStore:
    """Keeps values by series and minute; belongs to the thread that serves, once it is made."""

    def __init__(
        self,
        path: Path | None = None,
        *,
        kept_minutes: int = KEPT_MINUTES,
        max_values: int = MAX_VALUES,
    ) -> None:
        """Open the file, or make it; without a path keep values in memory alone.

        Raises StoreError, as all methods do that use the file.
        """
        self._path = path
        self._kept_minutes = kept_minutes
        self._max_values = max_values
        self._size = 0  # Values that are kept, at most.
        self._newest = 0  # The newest minute.
        self._forget_all()
        self._db = open_database(path)
        try:
            with translated(path):
                self._load()
        except StoreError:
            self._db.close()
            raise

    def _load(self) -> None:
        (self._size,) = self._db.execute("SELECT count(*) FROM point").fetchone()
        for number, resource_id, region, namespace, metric, text in self._db.execute(
            "SELECT * FROM series ORDER BY id"
        ):
            pairs = msgspec.json.decode(text, type=list[tuple[str, str]])
            names, values = tuple(zip(*pairs, strict=True)) if pairs else ((), ())
            lowered = (namespace.lower(), metric.lower(), tuple(name.lower() for name in names))
            shape = Shape(namespace, metric, names, tuple(range(len(names))), lowered)
            self._index(number, (resource_id.lower(), lowered, values), resource_id, region, shape)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def clear(self) -> None:
        """Delete everything."""
        with translated(self._path), self._db:
            self._db.execute("DELETE FROM point")
            self._db.execute("DELETE FROM series")
        self._forget_all()

    def add(self, resource_id: str, region: str, points: Iterable[Point], now: float) -> None:
        """Add points of one resource; now in epoch seconds. On StoreError nothing is added."""
        resource_key = resource_id.lower()
        fresh: list[Series] = []
        rows: list[tuple[int, int, float, float, float, int]] = []
        try:
            with translated(self._path), self._db:
                for point in points:
                    key = (resource_key, point.shape.key, point.dimension_values)
                    series = self._series.get(key)
                    if series is None:
                        series = self._insert(key, resource_id, region, point.shape)
                        fresh.append(series)
                    series.added = now
                    each = point.values
                    rows.append(
                        (series.number, point.minute, each.min, each.max, each.sum, each.count)
                    )
                self._db.executemany(_ADD, rows)
        except StoreError:
            for series in fresh:
                self._forget(series)
            raise
        newest = max((row[1] for row in rows), default=0)
        self._size += len(rows)  # At most: some of them may have been there.
        if newest > self._newest or self._size > self._max_values:
            self._newest = max(newest, self._newest)
            with suppress(StoreError):  # The points are stored; the old ones go the next time.
                self.purge(now)

    def purge(self, now: float) -> None:
        """Delete what is older than it may be, then what is too much; now in epoch seconds."""
        with translated(self._path), self._db:
            oldest = int(now // 60) - self._kept_minutes
            self._db.execute("DELETE FROM point WHERE minute < ?", (oldest,))
            (self._size,) = self._db.execute("SELECT count(*) FROM point").fetchone()
            if self._size > self._max_values:
                # A hundredth more than is needed, so that not each post has to look for the oldest.
                excess = self._size - self._max_values + self._max_values // 100
                self._db.execute(_DELETE_OLDEST, (excess,))
                self._size -= excess
            self._db.execute("DELETE FROM series WHERE id NOT IN (SELECT series FROM point)")
        kept = {number for (number,) in self._db.execute("SELECT id FROM series")}
        for series in [each for each in self._series.values() if each.number not in kept]:
            self._forget(series)

    def resources(self) -> list[str]:
        """Return the resources of which something is kept, in lower case, sorted."""
        return sorted(self._metrics)

    def metrics(self, resource_id: str, namespace: str | None = None) -> list[list[Series]]:
        """Return the series of each metric of a resource, by namespace and metric."""
        found = self._metrics.get(resource_id.lower(), {})
        return [
            list(found[name].values())
            for name in sorted(found)
            if namespace is None or name[0] == namespace.lower()
        ]

    def series(self, resource_id: str, namespace: str, metric: str) -> list[Series]:
        """Return the series of a metric of a resource."""
        metrics = self._metrics.get(resource_id.lower(), {})
        return list(metrics.get((namespace.lower(), metric.lower()), {}).values())

    def values(self, series: Series) -> Iterator[tuple[int, Aggregate]]:
        """Return all that is kept of a series, by minute."""
        rows = self._db.execute(
            "SELECT minute, min, max, sum, count FROM point WHERE series = ? ORDER BY minute",
            (series.number,),
        )
        return ((minute, _aggregate(*numbers)) for minute, *numbers in rows.fetchall())

    def read(
        self, groups: Mapping[Series, _Group], first: int, end: int, step: int
    ) -> dict[_Group, dict[int, Aggregate]]:
        """Aggregate groups of series from a minute up to, not including, another.

        Each group has a value for each step (in minutes) that holds any, numbered from 0.
        """
        names = {group: number for number, group in enumerate(dict.fromkeys(groups.values()))}
        by_number = list(names)
        wanted = [(series.number, names[group]) for series, group in groups.items()]
        parameters = {
            "wanted": msgspec.json.encode(wanted).decode(),
            "first": first,
            "end": end,
            "step": step,
        }
        found: dict[_Group, dict[int, Aggregate]] = {}
        with translated(self._path):
            rows = self._db.execute(_READ, parameters).fetchall()
        for number, place, *numbers in rows:
            found.setdefault(by_number[number], {})[place] = _aggregate(*numbers)
        return found

    def _insert(self, key: _Key, resource_id: str, region: str, shape: Shape) -> Series:
        """Insert a new series, in the first spelling of its names."""
        series = self._index(0, key, resource_id, region, shape)
        row = (
            series.resource_id,
            series.region,
            series.namespace,
            series.metric,
            msgspec.json.encode(list(series.dimensions.items())).decode(),
        )
        insert = "INSERT INTO series VALUES (NULL, ?, ?, ?, ?, ?)"
        try:
            series.number = self._db.execute(insert, row).lastrowid or 0
        except sqlite3.Error:
            self._forget(series)
            raise
        return series

    def _index(self, number: int, key: _Key, resource_id: str, region: str, shape: Shape) -> Series:
        resource_key, (namespace_key, metric_key, dimension_keys), dimension_values = key
        path: tuple[str, ...] = (resource_key,)
        spelled_id = self._spellings.setdefault(path, resource_id)
        path = (*path, namespace_key)
        namespace = self._spellings.setdefault(path, shape.namespace)
        path = (*path, metric_key)
        metric = self._spellings.setdefault(path, shape.metric)
        names = [
            self._spellings.setdefault((*path, name_key), name)
            for name_key, name in zip(dimension_keys, shape.dimensions, strict=True)
        ]
        dimensions = dict(zip(names, dimension_values, strict=True))
        series = Series(number, key, spelled_id, region, namespace, metric, dimensions)
        self._series[key] = series
        metrics = self._metrics.setdefault(resource_key, {})
        metrics.setdefault((namespace_key, metric_key), {})[key] = series
        return series

    def _forget(self, series: Series) -> None:
        del self._series[series.key]
        resource_key, (namespace_key, metric_key, _), _ = series.key
        metrics = self._metrics[resource_key]
        siblings = metrics[namespace_key, metric_key]
        del siblings[series.key]
        if not siblings:
            del metrics[namespace_key, metric_key]
            if not metrics:
                del self._metrics[resource_key]

    def _forget_all(self) -> None:
        self._series: dict[_Key, Series] = {}
        # Resource ID -> namespace and metric -> its series; all that is asked for goes through it.
        self._metrics: dict[str, dict[tuple[str, str], dict[_Key, Series]]] = {}
        self._spellings: LRUCache[tuple[str, ...], str] = LRUCache(MAX_SPELLINGS)
        self._size = self._newest = 0


def _aggregate(low: float, high: float, total: float | None, count: int) -> Aggregate:
    """Return a value set whose sum is finite, as JSON has no more; None is of infinities."""
    greatest = sys.float_info.max
    return Aggregate(low, high, min(max(total or 0.0, -greatest), greatest), count)
