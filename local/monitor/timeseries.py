"""Answers to queries of the store, in the shape of the published examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .answers import BadQueryError
from .limits import MAX_QUERY_VALUES
from .metric_filter import Condition
from .query import Query, supported
from .store import Aggregate, MetricStore, Series
from .time_grain import minute_stamp

__all__ = ["answer"]

_Cells = dict[int, Aggregate]  # By the number of the grain, from the start of the span.


class _Budget:
    """What an answer may still hold; one for all its resources and metrics."""

    def __init__(self) -> None:
        self._left = MAX_QUERY_VALUES

    def spend(self, series: int, length: int) -> None:
        """Take so many time series of so many values. Raises BadQueryError if they are too many."""
        self._left -= series * length
        if self._left < 0:
            raise BadQueryError(
                f"The answer would hold more than {MAX_QUERY_VALUES} values, of which {series} time"
                f" series of {length} values in one metric. Ask for a longer interval, a shorter"
                " time span or a lower top."
            )


def answer(
    store: MetricStore, resource_ids: Sequence[str], query: Query
) -> list[list[dict[str, Any]]]:
    """For each resource the metrics that were asked for. Raises BadQueryError if it is too much."""
    budget = _Budget()
    return [
        [_metric(store, resource_id, name, query, budget) for name in query.metrics]
        for resource_id in resource_ids
    ]


def _metric(
    store: MetricStore, resource_id: str, name: str, query: Query, budget: _Budget
) -> dict[str, Any]:
    series = store.series(resource_id, query.namespace, name)
    spelled = series[0].metric if series else name
    return {
        "id": f"{resource_id}/providers/Microsoft.Insights/metrics/{spelled}",
        "type": "Microsoft.Insights/metrics",
        "name": {"value": spelled, "localizedValue": spelled},
        "unit": "Unspecified",
        "timeseries": _timeseries(store, series, query, budget),
        "errorCode": "Success",
    }


def _timeseries(
    store: MetricStore, series: list[Series], query: Query, budget: _Budget
) -> list[dict[str, Any]]:
    have = supported(series)
    conditions = [each for each in query.conditions if each.key in have]
    split = [each.key for each in conditions if each.key not in query.rollup]
    groups = _groups(series, conditions, split)
    first, end, step = query.span.first_minute, query.span.end_minute, query.grain
    found = store.read(groups, first, end, step)
    keys = sorted(found)
    if query.order is not None:
        name, greatest_first = query.order
        totals = store.read(groups, first, end, end - first)
        keys.sort(key=lambda key: totals[key][0].value(name), reverse=greatest_first)
    chosen = keys[: query.top]
    if not chosen:
        return []
    numbers = range(first, end, step)  # Of the first minutes of the values.
    if not query.metadata:
        budget.spend(len(chosen), len(numbers))
    stamps = [] if query.metadata else [minute_stamp(minute) for minute in numbers]
    return [_element(split, key, found[key], stamps, query) for key in chosen]


def _groups(
    series: list[Series], conditions: list[Condition], split: list[str]
) -> dict[Series, tuple[str, ...]]:
    """The series that a filter passes, with the dimension values that split them."""
    if not conditions:
        return dict.fromkeys(series, ())
    groups: dict[Series, tuple[str, ...]] = {}
    for each in series:
        values = dict(zip(each.key[1][2], each.key[2], strict=True))
        if all(one.key in values and one.passes(values[one.key]) for one in conditions):
            groups[each] = tuple(values[name] for name in split)
    return groups


def _element(
    split: list[str], key: tuple[str, ...], cells: _Cells, stamps: list[str], query: Query
) -> dict[str, Any]:
    """One time series; where there is no value, there is only the time."""
    names = zip(split, key, strict=True)
    element: dict[str, Any] = {
        "metadatavalues": [
            {"name": {"value": name, "localizedValue": name}, "value": value}
            for name, value in names
        ]
    }
    if not query.metadata:
        element["data"] = [
            {"timeStamp": time, **_values(cells.get(number), query.aggregations)}
            for number, time in enumerate(stamps)
        ]
    return element


def _values(cell: Aggregate | None, aggregations: tuple[str, ...]) -> dict[str, float]:
    return {} if cell is None else {name: cell.value(name) for name in aggregations}
