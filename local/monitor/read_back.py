"""Read all stored values in portions, between which other requests are answered."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import msgspec

from .limits import PORTION_VALUES
from .store import MetricStore
from .time_grain import second_stamp

__all__ = ["MetricValue", "portions"]


class MetricValue(msgspec.Struct, rename="camel", frozen=True, gc=False):
    """Holds the values of one series in one minute; time is the start of the minute, UTC."""

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
    """Return the values, filtered without case; sorted by series, then by time.

    The store may change between two portions; each of them is what there is at its time.
    """
    values = _values(store, resource_id, namespace, metric)
    while portion := list(islice(values, PORTION_VALUES)):
        yield portion


def _values(
    store: MetricStore, resource_id: str | None, namespace: str | None, metric: str | None
) -> Iterator[MetricValue]:
    for resource in store.resources() if resource_id is None else [resource_id]:
        for series in store.metrics(resource, namespace):
            if metric is not None and series[0].key[1][1] != metric.lower():
                continue
            for each in sorted(series, key=lambda each: each.key):
                names = (each.resource_id, each.region, each.namespace, each.metric)
                for minute, found in store.values(each):
                    time = second_stamp(minute * 60)
                    numbers = (found.min, found.max, found.sum, found.count)
                    yield MetricValue(*names, each.dimensions, time, *numbers)
