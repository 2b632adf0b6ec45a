"""Queries of the store, as the service's two query APIs have them in common.

`read` makes a query of parameters; `check` refuses names that nothing is stored of; `metrics`
answers it for one resource, in the shape of the published examples.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import metric_filter
from .aggregate import AGGREGATIONS, Aggregate
from .answers import BadQueryError
from .limits import MAX_QUERY_METRICS, MAX_QUERY_VALUES
from .resources import type_and_name
from .time_grain import Span, grain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .metric_filter import Condition
    from .store import MetricStore, Series

__all__ = ["Query", "check", "check_namespace", "metrics", "read", "supported"]

_DEFAULT_TOP = 10  # Documentation; only where there is a filter.
_Cells = dict[int, Aggregate]  # By the number of the grain, from the start of the span.


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked for, of whichever resource; the grain in minutes."""

    namespace: str
    metrics: tuple[str, ...]
    span: Span
    grain: int
    aggregations: tuple[str, ...]
    conditions: tuple[Condition, ...]
    rollup: frozenset[str]  # Dimensions, in lower case, that do not split.
    top: int | None
    order: tuple[str, bool] | None  # An aggregation, and whether the greatest comes first.
    metadata: bool  # Only which series there are.
    validate: bool  # Whether a filter on an unknown dimension is an error.


def read(given: Mapping[str, str], span: Span, namespace: str, filtered: str | None) -> Query:
    """The query in parameters, their names in lower case. Raises BadQueryError."""
    names = [name.strip() for name in given.get("metricnames", "").split(",") if name.strip()]
    if not names:
        raise BadQueryError("The query parameter 'metricnames' is required.")
    if len(names) > MAX_QUERY_METRICS:
        raise BadQueryError(f"At most {MAX_QUERY_METRICS} metric names can be specified.")
    conditions = metric_filter.parse(filtered)
    rollup = (name.strip().lower() for name in given.get("rollupby", "").split(","))
    return Query(
        namespace=namespace,
        # A comma within a name comes as %2.
        metrics=tuple(dict.fromkeys(name.replace("%2", ",") for name in names)),
        span=span,
        grain=grain(given.get("interval"), span, adjust=_flag(given, "autoadjusttimegrain")),
        aggregations=_aggregations(given.get("aggregation", "average")),
        conditions=conditions,
        rollup=frozenset(filter(None, rollup)),
        top=_top(given.get("top")) if conditions else None,
        order=_order(given.get("orderby")),
        metadata=given.get("resulttype", "data").lower() == "metadata",
        validate=_flag(given, "validatedimensions", default=True),
    )


def check(store: MetricStore, resource_ids: Sequence[str], query: Query) -> None:
    """Raise BadQueryError for names that none of the resources has values of."""
    check_namespace(store, resource_ids, query.namespace)
    known = {
        metric[0].key[1][1]: metric[0].metric
        for resource_id in resource_ids
        for metric in store.metrics(resource_id, query.namespace)
    }
    for name in query.metrics:
        if name.lower() not in known:
            provider, _, kind = type_and_name(resource_ids[0])[0].partition("/")
            raise BadQueryError(
                f"Failed to find metric configuration for provider: {provider}, resource Type:"
                f" {kind}, metric: {name}, Valid metrics: {','.join(known.values())}"
            )
    for name in query.metrics if query.validate else ():
        found = [store.series(each, query.namespace, name) for each in resource_ids]
        have = supported(series for metric in found for series in metric)
        lacking = [each.key for each in query.conditions if each.key not in have]
        if lacking:
            raise BadQueryError(
                f"Metric: {name} does not support requested dimension combination:"
                f" {','.join(lacking)}, supported ones are: {','.join(have.values())}"
            )


def check_namespace(store: MetricStore, resource_ids: Sequence[str], namespace: str) -> None:
    """Raise BadQueryError for a namespace that none of them has, other than their type."""
    kind = type_and_name(resource_ids[0])[0]
    known = {kind.lower(): kind}
    for resource_id in resource_ids:
        for metric in store.metrics(resource_id):
            known.setdefault(metric[0].key[1][0], metric[0].namespace)
    if namespace.lower() not in known:
        raise BadQueryError(
            f"Detect invalid value: {namespace} for query parameter: 'metricnamespace', the value"
            f" must be: {','.join(known.values())} if the query parameter is provided, you can"
            " also skip this optional query parameter."
        )


def supported(series: Iterable[Series]) -> dict[str, str]:
    """The dimensions of series: in lower case -> as first spelled."""
    return {name.lower(): name for each in series for name in each.dimensions}


def metrics(store: MetricStore, resource_id: str, query: Query) -> list[dict[str, Any]]:
    """The metrics that were asked for, of one resource. Raises BadQueryError if it is too much."""
    return [_metric(store, resource_id, name, query) for name in query.metrics]


def _metric(store: MetricStore, resource_id: str, name: str, query: Query) -> dict[str, Any]:
    series = store.series(resource_id, query.namespace, name)
    spelled = series[0].metric if series else name
    return {
        "id": f"{resource_id}/providers/Microsoft.Insights/metrics/{spelled}",
        "type": "Microsoft.Insights/metrics",
        "name": {"value": spelled, "localizedValue": spelled},
        "unit": "Unspecified",
        "timeseries": _timeseries(store, series, query),
        "errorCode": "Success",
    }


def _timeseries(store: MetricStore, series: list[Series], query: Query) -> list[dict[str, Any]]:
    have = supported(series)
    conditions = [each for each in query.conditions if each.key in have]
    split = [each.key for each in conditions if each.key not in query.rollup]
    groups = _groups(series, conditions, split)
    found: dict[tuple[str, ...], _Cells] = {}
    first, step = query.span.first_minute, query.grain
    for minute, each, aggregate in store.read(groups, first, query.span.end_minute):
        cells = found.setdefault(groups[each], {})
        cell = cells.get((minute - first) // step)
        if cell is None:
            cells[(minute - first) // step] = Aggregate.of(aggregate)
        else:
            cell.add(aggregate)
    chosen = _chosen(found, query)
    stamps = _stamps(query)
    if len(chosen) * len(stamps) > MAX_QUERY_VALUES and not query.metadata:
        raise BadQueryError(
            f"The answer would hold {len(chosen)} time series of {len(stamps)} values: more than"
            f" {MAX_QUERY_VALUES} in all. Ask for a longer interval or a lower top."
        )
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


def _chosen(found: dict[tuple[str, ...], _Cells], query: Query) -> list[tuple[str, ...]]:
    """The groups that the answer holds, in its order."""
    keys = sorted(found)
    if query.order is not None:
        name, greatest_first = query.order
        totals = {key: Aggregate.total(found[key].values()).value(name) for key in keys}
        keys.sort(key=totals.__getitem__, reverse=greatest_first)
    return keys[: query.top]


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


def _stamps(query: Query) -> list[str]:
    """The start of each grain of the span."""
    minutes = range(query.span.first_minute, query.span.end_minute, query.grain)
    moments = (dt.datetime.fromtimestamp(minute * 60, dt.UTC) for minute in minutes)
    return [f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in moments]


def _aggregations(given: str) -> tuple[str, ...]:
    names = [name.strip().lower() for name in given.split(",") if name.strip()]
    for name in names:
        if name not in AGGREGATIONS:
            raise BadQueryError(
                f"Invalid aggregation: {name}, supported ones are: {','.join(AGGREGATIONS)}"
            )
    return tuple(dict.fromkeys(names)) or ("average",)


def _order(given: str | None) -> tuple[str, bool] | None:
    """`sum asc`, as the documentation has it, or `total desc`; ascending if it does not say."""
    if not given:
        return None
    name, _, direction = given.strip().lower().partition(" ")
    name = {"sum": "total"}.get(name, name)
    if name not in AGGREGATIONS or direction.strip() not in {"", "asc", "desc"}:
        raise BadQueryError(f"Invalid orderby: '{given}', expected <aggregation> asc|desc")
    return name, direction.strip() == "desc"


def _top(given: str | None) -> int:
    if given is None:
        return _DEFAULT_TOP
    if not given.isdecimal() or int(given) < 1:
        raise BadQueryError(f"Invalid top: '{given}', expected a whole number of at least 1")
    return int(given)


def _flag(given: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    return given.get(name, str(default)).lower() == "true"
