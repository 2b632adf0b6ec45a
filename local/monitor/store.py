"""Store a value set for each series and minute, in SQLite, in memory or in a file.

A post is stored whole or not at all; in a file, before it is answered.

Values older than 24 hours are deleted, and of more than a million the oldest. Resource IDs,
namespaces, metric and dimension names compare without case and keep their first spelling;
dimension values compare with case.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import suppress
from operator import attrgetter
from pathlib import Path
from typing import TypeVar

import msgspec

from .database import StoreError, open_database, translated
from .documents import Point, Shape, ValueSet, shape_of
from .limits import KEPT_MINUTES, MAX_SPELLINGS, MAX_VALUES

__all__ = ["AGGREGATIONS", "MetricStore", "Series"]

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


AGGREGATIONS: Mapping[str, Callable[[ValueSet], float]] = {
    "average": lambda each: each.sum / each.count,
    "minimum": attrgetter("min"),
    "maximum": attrgetter("max"),
    "total": attrgetter("sum"),
    "count": attrgetter("count"),
}


class Series(msgspec.Struct, eq=False):
    """Holds a series, as first spelled.

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
            shape = shape_of(namespace, metric, tuple(name for name, _ in pairs))
            key = (resource_id.lower(), shape.key, tuple(value for _, value in pairs))
            series = self._series_of(key, resource_id, region, shape)
            series.number = number
            self._index(series)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def clear(self) -> None:
        """Delete everything."""
        with translated(self._path), self._db:
            self._db.execute("DELETE FROM point")
            self._db.execute("DELETE FROM series")
        self._forget_all()

    def _forget_all(self) -> None:
        self._series: dict[_Key, Series] = {}
        # Resource ID -> namespace and metric -> its series.
        self._metrics: dict[str, dict[tuple[str, str], dict[_Key, Series]]] = defaultdict(
            lambda: defaultdict(dict)
        )
        self._spellings: dict[tuple[str, ...], str] = {}
        self._size = 0  # Values that are kept, at most.
        self._newest = 0  # The newest minute.

    def add(self, resource_id: str, region: str, points: Iterable[Point], now: float) -> None:
        """Add points of one resource; now in epoch seconds. On StoreError nothing is added."""
        resource_key = resource_id.lower()
        known = self._series
        fresh: dict[_Key, Series] = {}
        rows: list[tuple[int, int, float, float, float, int]] = []
        with translated(self._path), self._db:
            for point in points:
                key = (resource_key, point.shape.key, point.dimension_values)
                series = known.get(key) or fresh.get(key)
                if series is None:
                    series = fresh[key] = self._series_of(key, resource_id, region, point.shape)
                    self._insert(series)
                series.added = now
                each = point.values
                rows.append((series.number, point.minute, each.min, each.max, each.sum, each.count))
            self._db.executemany(_ADD, rows)
        for series in fresh.values():
            self._index(series)
        newest = max((row[1] for row in rows), default=0)
        self._size += len(rows)  # At most: some of them may have been there.
        if newest > self._newest or self._size > self._max_values:
            self._newest = max(newest, self._newest)
            with suppress(StoreError):  # The points are stored; the old ones go the next time.
                self.purge(now)

    def purge(self, now: float) -> None:
        """Delete values that are too old, then the oldest of too many; now in epoch seconds."""
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
        if len(self._spellings) > MAX_SPELLINGS:
            self._spellings.clear()

    def resources(self) -> list[str]:
        """Return the resources that have values, in lower case, sorted."""
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

    def values(self, series: Series) -> Iterator[tuple[int, ValueSet]]:
        """Return the values of a series, by minute; none if it was deleted since."""
        if self._series.get(series.key) is not series:
            return iter(())  # Another series may have its number.
        rows = self._db.execute(
            "SELECT minute, min, max, sum, count FROM point WHERE series = ? ORDER BY minute",
            (series.number,),
        )
        return ((minute, _value_set(*numbers)) for minute, *numbers in rows.fetchall())

    def read(
        self, groups: Mapping[Series, _Group], first: int, end: int, step: int
    ) -> dict[_Group, dict[int, ValueSet]]:
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
        found: dict[_Group, dict[int, ValueSet]] = {}
        with translated(self._path):
            rows = self._db.execute(_READ, parameters).fetchall()
        for number, place, *numbers in rows:
            found.setdefault(by_number[number], {})[place] = _value_set(*numbers)
        return found

    def _insert(self, series: Series) -> None:
        """Insert a new series into the database, which gives it its number."""
        dimensions = msgspec.json.encode(list(series.dimensions.items())).decode()
        row = (series.resource_id, series.region, series.namespace, series.metric, dimensions)
        insert = "INSERT INTO series VALUES (NULL, ?, ?, ?, ?, ?)"
        series.number = self._db.execute(insert, row).lastrowid or 0

    def _series_of(self, key: _Key, resource_id: str, region: str, shape: Shape) -> Series:
        """Return a new series, in the first spelling of its names."""
        spelled = self._spellings.setdefault
        path = (key[0], *shape.key[:2])
        names = [spelled((*path, name.lower()), name) for name in shape.dimensions]
        return Series(
            number=0,
            key=key,
            resource_id=spelled(path[:1], resource_id),
            region=region,
            namespace=spelled(path[:2], shape.namespace),
            metric=spelled(path, shape.metric),
            dimensions=dict(zip(names, key[2], strict=True)),
        )

    def _index(self, series: Series) -> None:
        self._series[series.key] = series
        self._metrics[series.key[0]][series.key[1][:2]][series.key] = series

    def _forget(self, series: Series) -> None:
        del self._series[series.key]
        metrics = self._metrics[series.key[0]]
        siblings = metrics[series.key[1][:2]]
        del siblings[series.key]
        if not siblings:
            del metrics[series.key[1][:2]]
        if not metrics:
            del self._metrics[series.key[0]]


def _value_set(low: float, high: float, total: float | None, count: int) -> ValueSet:
    """Return a value set whose sum is finite, as JSON has no more; None is of infinities."""
    greatest = sys.float_info.max
    return ValueSet(low, high, min(max(total or 0.0, -greatest), greatest), count)
