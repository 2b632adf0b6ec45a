"""What is stored, read back without a token, in portions: other requests get a turn between."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from .limits import PORTION_VALUES
from .store import Aggregate, MetricStore, Series
from .time_grain import second_stamp

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
    portion: list[MetricValue] = []
    for resource in resources:
        for series in store.metrics(resource, namespace):
            if metric is not None and series[0].key[1][1] != metric.lower():
                continue
            for each in sorted(series, key=lambda each: each.key):
                portion += [_value(each, *value) for value in store.values(each)]
                if len(portion) >= PORTION_VALUES:
                    yield portion
                    portion = []
    if portion:
        yield portion


def _value(series: Series, minute: int, aggregate: Aggregate) -> MetricValue:
    return MetricValue(
        resource_id=series.resource_id,
        region=series.region,
        namespace=series.namespace,
        metric=series.metric,
        dimensions=series.dimensions,
        time=second_stamp(minute * 60),
        min=aggregate.min,
        max=aggregate.max,
        sum=aggregate.sum,
        count=aggregate.count,
    )
