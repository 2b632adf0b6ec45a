"""Answer queries of the store, in the shape of the published examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .answers import BadQueryError
from .documents import ValueSet
from .limits import MAX_QUERY_VALUES
from .metric_filter import Condition
from .query import Query, supported
from .store import AGGREGATIONS, MetricStore, Series
from .time_grain import second_stamp

__all__ = ["answer"]


def answer(
    store: MetricStore, resource_ids: Sequence[str], query: Query
) -> list[list[dict[str, Any]]]:
    """Return the metrics of each resource. Raises BadQueryError if they hold too many values."""
    left = MAX_QUERY_VALUES
    answers: list[list[dict[str, Any]]] = []
    for resource_id in resource_ids:
        metrics = []
        for name in query.metrics:
            series = store.series(resource_id, query.namespace, name)
            spelled = series[0].metric if series else name
            found = _timeseries(store, series, query, left)
            left -= sum(len(each.get("data", ())) for each in found)
            metrics.append(
                {
                    "id": f"{resource_id}/providers/Microsoft.Insights/metrics/{spelled}",
                    "type": "Microsoft.Insights/metrics",
                    "name": _localized(spelled),
                    "unit": "Unspecified",
                    "timeseries": found,
                    "errorCode": "Success",
                }
            )
        answers.append(metrics)
    return answers


def _timeseries(
    store: MetricStore, series: list[Series], query: Query, left: int
) -> list[dict[str, Any]]:
    """Return the time series of a metric; left is how many values they may have."""
    have = supported(series)
    conditions = [each for each in query.conditions if each.key in have]
    split = [each.key for each in conditions if each.key not in query.rollup]
    groups = _groups(series, conditions, split)
    first, end, step = query.span.first_minute, query.span.end_minute, query.grain
    if query.order is None:
        found = store.read(groups, first, end, step)
        chosen = sorted(found)[: query.top]
    else:
        name, greatest_first = query.order
        value = AGGREGATIONS[name]
        totals = store.read(groups, first, end, end - first)
        chosen = sorted(totals)
        chosen.sort(key=lambda key: value(totals[key][0]), reverse=greatest_first)
        chosen = chosen[: query.top]
        wanted = set(chosen)
        few = {series: key for series, key in groups.items() if key in wanted}
        found = store.read(few, first, end, step)
    numbers = range(first, end, step)  # Of the first minutes of the values.
    if not query.metadata and len(chosen) * len(numbers) > left:
        raise BadQueryError(
            f"The answer would hold more than {MAX_QUERY_VALUES} values, of which {len(chosen)}"
            f" time series of {len(numbers)} values in one metric. Ask for a longer interval, a"
            " shorter time span or a lower top."
        )
    stamps = [second_stamp(minute * 60) for minute in numbers] if chosen else []
    return [_element(split, key, found[key], stamps, query) for key in chosen]


def _groups(
    series: list[Series], conditions: list[Condition], split: list[str]
) -> dict[Series, tuple[str, ...]]:
    """Return the series that a filter passes, with the dimension values that split them."""
    groups: dict[Series, tuple[str, ...]] = {}
    for each in series:
        values = dict(zip(each.key[1][2], each.key[2], strict=True)) if conditions else {}
        if all(one.key in values and one.passes(values[one.key]) for one in conditions):
            groups[each] = tuple(values[name] for name in split)
    return groups


def _element(
    split: list[str],
    key: tuple[str, ...],
    cells: dict[int, ValueSet],
    stamps: list[str],
    query: Query,
) -> dict[str, Any]:
    """Return one time series; where there is no value, there is only the time."""
    names = zip(split, key, strict=True)
    element: dict[str, Any] = {
        "metadatavalues": [{"name": _localized(name), "value": value} for name, value in names]
    }
    if not query.metadata:
        wanted = {name: AGGREGATIONS[name] for name in query.aggregations}
        element["data"] = [
            {"timeStamp": time}
            | {name: value(cells[number]) for name, value in wanted.items() if number in cells}
            for number, time in enumerate(stamps)
        ]
    return element


def _localized(name: str) -> dict[str, str]:
    return {"value": name, "localizedValue": name}
