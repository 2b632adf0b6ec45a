"""The store: one value per series and minute, aggregated as they come in.

Bounded: values older than 24 hours are forgotten, and beyond a million the oldest go first.
Resource IDs, namespaces, metric and dimension names compare without case and keep their first
spelling; dimension values compare with case.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from .aggregate import Aggregate
from .archive import ArchiveError
from .documents import Shape
from .limits import KEPT_MINUTES, MAX_SPELLINGS, MAX_VALUES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from .archive import Archive
    from .documents import Point

__all__ = ["MetricStore", "Series"]

_Key = tuple[str, tuple[str, str, tuple[str, ...]], tuple[str, ...]]


class Series(msgspec.Struct, eq=False):
    """A series, as first spelled, and the number of minutes kept of it.

    The key has all names as they are compared: resource ID; namespace, metric and dimension
    names, sorted; and then the dimension values in that order.
    """

    key: _Key
    resource_id: str
    region: str
    namespace: str
    metric: str
    dimensions: dict[str, str]
    kept: int = 0
    added: float = 0.0  # When it was last added to, in epoch seconds.


class MetricStore:
    """Keeps values in memory, by minute and series, and in an archive if it is given one."""

    def __init__(
        self,
        kept_minutes: int = KEPT_MINUTES,
        max_values: int = MAX_VALUES,
        archive: Archive | None = None,
    ) -> None:
        self._archive = archive
        # Not in the archive yet: what is now, and what was before, to go back to.
        self._changed: dict[tuple[int, Series], tuple[Aggregate, Aggregate | None]] = {}
        self._gone: list[tuple[int, Series]] = []
        self._ended: list[Series] = []
        self._kept_minutes = kept_minutes
        self._max_values = max_values
        self._series: dict[_Key, Series] = {}
        # Resource ID -> namespace and metric -> its series; all that is asked for goes through it.
        self._index: dict[str, dict[tuple[str, str], dict[_Key, Series]]] = {}
        self._minutes: dict[int, dict[Series, Aggregate]] = {}
        self._spellings: OrderedDict[tuple[str, ...], str] = OrderedDict()
        self._size = 0

    def add(self, resource_id: str, region: str, points: Iterable[Point], now: float) -> None:
        """Add points of one resource; now in epoch seconds.

        Raises ArchiveError, with nothing added, if they cannot be saved.
        """
        resource_key = resource_id.lower()
        minutes_before = len(self._minutes)
        for point in points:
            key = (resource_key, point.shape.key, point.dimension_values)
            series = self._series.get(key)
            if series is None:
                series = self._new_series(key, resource_id, region, point.shape)
            series.added = now
            minute = self._minutes.get(point.minute)
            if minute is None:
                minute = self._minutes[point.minute] = {}
            aggregate = minute.get(series)
            if aggregate is None:
                aggregate = Aggregate.of(point.values)
                self._keep(minute, series, aggregate)
                if self._archive is not None:
                    self._changed[point.minute, series] = aggregate, None
                continue
            if self._archive is not None and (point.minute, series) not in self._changed:
                self._changed[point.minute, series] = aggregate, Aggregate.of(aggregate)
            aggregate.add(point.values)
        try:
            self._save()
        except ArchiveError:
            self._undo()
            raise
        if len(self._minutes) > minutes_before or self._size > self._max_values:
            self._forget(int(now // 60) - self._kept_minutes)
            # The points are saved: what is forgotten stays in the file until the next time.
            with suppress(ArchiveError):
                self._save()

    def restore(self, now: float) -> list[Series]:
        """Take in what the archive has; the series that are kept still. Now in epoch seconds."""
        if self._archive is None:
            return []
        for row in self._archive.rows():
            names = tuple(name for name, _ in row.dimensions)
            shape = Shape(
                namespace=row.namespace,
                metric=row.metric,
                dimensions=names,
                order=tuple(range(len(names))),
                key=(
                    row.namespace.lower(),
                    row.metric.lower(),
                    tuple(name.lower() for name in names),
                ),
            )
            values = tuple(value for _, value in row.dimensions)
            key = (row.resource_id.lower(), shape.key, values)
            series = self._series.get(key)
            if series is None:
                series = self._new_series(key, row.resource_id, row.region, shape)
                self._archive.know(series, row.series)
            aggregate = Aggregate(row.min, row.max, row.sum, row.count)
            self._keep(self._minutes.setdefault(row.minute, {}), series, aggregate)
        self._forget(int(now // 60) - self._kept_minutes)
        self._save()
        return list(self._series.values())

    def _keep(self, minute: dict[Series, Aggregate], series: Series, aggregate: Aggregate) -> None:
        minute[series] = aggregate
        series.kept += 1
        self._size += 1

    def _save(self) -> None:
        """Bring the archive up to date."""
        if self._archive is None:
            return
        if not (self._changed or self._gone):
            return
        changed = [(minute, series, now) for (minute, series), (now, _) in self._changed.items()]
        self._archive.save(changed, self._gone, self._ended)
        self._changed, self._gone, self._ended = {}, [], []

    def _undo(self) -> None:
        """Back to what is in the archive."""
        gone, ended = len(self._gone), len(self._ended)
        for (number, series), (_, before) in self._changed.items():
            minute = self._minutes[number]
            if before is not None:
                minute[series] = before
                continue
            del minute[series]
            self._release(number, series)
            if not minute:
                del self._minutes[number]
        self._changed = {}
        del self._gone[gone:], self._ended[ended:]  # They would pile up; nothing of it was there.

    def resources(self) -> list[str]:
        """The resources of which something is kept, in lower case, sorted."""
        return sorted(self._index)

    def metrics(self, resource_id: str, namespace: str | None = None) -> list[list[Series]]:
        """The series of each metric of a resource, in the order of namespace and metric."""
        found = self._index.get(resource_id.lower(), {})
        return [
            list(found[name].values())
            for name in sorted(found)
            if namespace is None or name[0] == namespace.lower()
        ]

    def series(self, resource_id: str, namespace: str, metric: str) -> list[Series]:
        """The series of a metric of a resource."""
        metrics = self._index.get(resource_id.lower(), {})
        return list(metrics.get((namespace.lower(), metric.lower()), {}).values())

    def read(
        self, wanted: Collection[Series], first: int, end: int
    ) -> Iterator[tuple[int, Series, Aggregate]]:
        """What is kept of series from a minute up to, not with, another."""
        for minute in sorted(each for each in self._minutes if first <= each < end):
            kept = self._minutes[minute]
            if len(wanted) < len(kept):
                for series in wanted:
                    aggregate = kept.get(series)
                    if aggregate is not None:
                        yield minute, series, aggregate
            else:
                for series, aggregate in kept.items():
                    if series in wanted:
                        yield minute, series, aggregate

    def _new_series(self, key: _Key, resource_id: str, region: str, shape: Shape) -> Series:
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
        series = Series(key, spelled_id, region, namespace, metric, dimensions)
        self._series[key] = series
        metrics = self._index.setdefault(resource_key, {})
        metrics.setdefault((namespace_key, metric_key), {})[key] = series
        return series

    def _first_spelling(self, path: tuple[str, ...], spelling: str) -> str:
        first = self._spellings.setdefault(path, spelling)
        if len(self._spellings) > MAX_SPELLINGS:
            self._spellings.popitem(last=False)
        return first

    def _forget(self, oldest_minute: int) -> None:
        """Forget what is older than the oldest minute, then what is too much."""
        for minute in [each for each in self._minutes if each < oldest_minute]:
            for series in self._minutes.pop(minute):
                self._release(minute, series)
        while self._size > self._max_values:
            oldest = min(self._minutes)
            kept = self._minutes[oldest]
            series = next(iter(kept))
            del kept[series]
            self._release(oldest, series)
            if not kept:
                del self._minutes[oldest]

    def _release(self, minute: int, series: Series) -> None:
        self._size -= 1
        if self._archive is not None:
            self._gone.append((minute, series))
            if series.kept == 1:
                self._ended.append(series)
        series.kept -= 1
        if series.kept:
            return
        del self._series[series.key]
        resource_key, (namespace_key, metric_key, _), _ = series.key
        metrics = self._index[resource_key]
        siblings = metrics[namespace_key, metric_key]
        del siblings[series.key]
        if not siblings:
            del metrics[namespace_key, metric_key]
            if not metrics:
                del self._index[resource_key]
