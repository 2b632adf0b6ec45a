"""What is stored, as it is read back without a token: in portions, so that nobody has to wait."""

from __future__ import annotations

import datetime as dt
import sys
from typing import TYPE_CHECKING

import msgspec

from .limits import PORTION_VALUES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .aggregate import Aggregate
    from .store import MetricStore, Series

__all__ = ["MetricValue", "portions"]


class MetricValue(msgspec.Struct, rename="camel", frozen=True, gc=False):
    """One series in one minute; time is the start of the minute, UTC."""

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


def portions(
    store: MetricStore,
    resource_id: str | None = None,
    namespace: str | None = None,
    metric: str | None = None,
) -> Iterator[list[MetricValue]]:
    """What is kept, filtered without case; sorted by series, then by time.

    The store may change between two portions; each of them is what there is at its time.
    """
    resources = store.resources() if resource_id is None else [resource_id]
    for resource in resources:
        for series in store.metrics(resource, namespace):
            if metric is None or series[0].key[1][1] == metric.lower():
                yield from (_values(store, few) for few in _few_at_a_time(series))


def _few_at_a_time(series: list[Series]) -> Iterator[list[Series]]:
    """The series by their keys, as many at a time as have about so many values together."""
    few: list[Series] = []
    values = 0
    for each in sorted(series, key=lambda each: each.key):
        few.append(each)
        values += each.kept
        if values >= PORTION_VALUES:
            yield few
            few, values = [], 0
    if few:
        yield few


def _values(store: MetricStore, few: list[Series]) -> list[MetricValue]:
    place = {series: number for number, series in enumerate(few)}
    found = sorted(
        (place[series], minute, aggregate)
        for minute, series, aggregate in store.read(place, 0, sys.maxsize)
    )
    return [_value(few[number], minute, aggregate) for number, minute, aggregate in found]


def _value(series: Series, minute: int, aggregate: Aggregate) -> MetricValue:
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
