"""Read the stored values, whole."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from .store import MetricStore
from .time_grain import second_stamp

__all__ = ["MetricValue", "stored_values"]


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


def stored_values(
    store: MetricStore,
    resource_id: str | None = None,
    namespace: str | None = None,
    metric: str | None = None,
) -> Iterator[MetricValue]:
    """Yield the values, filtered without case; sorted by series, then by time."""
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
