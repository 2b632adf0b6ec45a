"""Queries of the store, as the service's two query APIs have them in common.

`read` makes a query of parameters; `check` refuses names that nothing is stored of. What answers
it is `timeseries`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .answers import BadQueryError, whole_number
from .limits import MAX_QUERY_METRICS
from .metric_filter import Condition
from .resources import type_and_name
from .store import AGGREGATIONS, MetricStore, Series
from .time_grain import Span, grain

__all__ = ["Query", "check", "check_namespace", "names", "read", "rollup", "supported"]

_DEFAULT_TOP = 10  # Documentation; only where there is a filter.


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


def read(
    given: Mapping[str, str],
    span: Span,
    namespace: str,
    metrics: tuple[str, ...],
    *,
    conditions: tuple[Condition, ...],
    rollup: frozenset[str],
) -> Query:
    """The query of these and of the other parameters given, by name in lower case.

    Raises BadQueryError.
    """
    return Query(
        namespace=namespace,
        metrics=metrics,
        span=span,
        grain=grain(given.get("interval"), span, adjust=_flag(given, "autoadjusttimegrain")),
        aggregations=_aggregations(given.get("aggregation", "average")),
        conditions=conditions,
        rollup=rollup,
        top=_top(given.get("top")) if conditions else None,
        order=_order(given.get("orderby")),
        metadata=given.get("resulttype", "data").lower() == "metadata",
        validate=_flag(given, "validatedimensions", default=True),
    )


def names(given: Mapping[str, str]) -> tuple[str, ...]:
    """The metrics that are asked for by name, each once. Raises BadQueryError for too many."""
    found = [name.strip() for name in given.get("metricnames", "").split(",") if name.strip()]
    if len(found) > MAX_QUERY_METRICS:
        raise BadQueryError(f"At most {MAX_QUERY_METRICS} metric names can be specified.")
    # A comma within a name comes as %2.
    return tuple(dict.fromkeys(name.replace("%2", ",") for name in found))


def rollup(given: Mapping[str, str]) -> frozenset[str]:
    """The dimensions that are not to split, in lower case."""
    found = (name.strip().lower() for name in given.get("rollupby", "").split(","))
    return frozenset(filter(None, found))


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
    number = whole_number(given)
    if not number:
        raise BadQueryError(f"Invalid top: '{given}', expected a whole number of at least 1")
    return number


def _flag(given: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    return given.get(name, str(default)).lower() == "true"
